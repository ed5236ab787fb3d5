"""Starts the full stack, walks the tour, kills and replaces its containers under load, and tells what came of it.

tests/compose/run calls it, with docker running and all images there.
"""

import asyncio
import json
import os
import pathlib
import re
import resource
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

from load import PATIENCE, Load, Wrong

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPLICAS = ["marquee-1", "marquee-2", "marquee-3"]
PROFILES = {
    "simple": ["mysql", "marquee"],
    "full": ["mysql", "redis", *REPLICAS, "gateway", "prometheus", "grafana"],
}
# Deadlines of what must come: nobody waits for them unless something is wrong.
LONG = 600
# The replica that tells in its log who asked.
TELLS = "marquee-3"
# An address that nobody has (RFC 5737).
NOBODY = "203.0.113.9"
# More than the gateway lets one address ask, and more connections than it may be asked on at once (deploy/nginx/nginx.conf).
FLOOD, CROWD = 8000, 520
# Requests on one connection: nginx closes it after 1,000.
AT_ONCE = 500


def say(text):
    print(f"compose: {text}", flush=True)


def run(*command, check=True, **options):
    options = {"cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": LONG} | options
    result = subprocess.run(command, **options)
    if check and result.returncode != 0:
        raise Wrong(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return result.stdout


def wait_for(what, condition):
    until = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > until:
            raise Wrong(f"{what} did not come")
        time.sleep(0.2)


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Stack:
    """The services of a profile, but for some, in a project of their own, with an environment of their own."""

    def __init__(self, folder, profile, without=()):
        self.port, self.prometheus, self.plain = free_port(), free_port(), free_port()
        self.token = secrets.token_hex(32)
        self.certificate = str(folder / "tls.crt")
        environment = {
            "COMPOSE_PROFILES": profile,
            "MYSQL_ROOT_PASSWORD": secrets.token_hex(16),
            "MYSQL_PASSWORD": secrets.token_hex(16),
            "MARQUEE_BOOTSTRAP_TOKEN": self.token,
            "MARQUEE_PORT": str(self.plain),
            "GATEWAY_PORT": str(self.port),
            "PROMETHEUS_PORT": str(self.prometheus),
            "GRAFANA_PORT": str(free_port()),
            "GATEWAY_SUBNET": "10.89.78.0/24",
        }
        (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        (folder / "limits.json").write_text(json.dumps(self.limits()))
        self.compose = [
            "docker-compose", "--project-name", "marquee-test", "--project-directory", str(ROOT),
            "--env-file", str(folder / "env"), "-f", str(ROOT / "docker-compose.yml"), "-f", str(folder / "limits.json"),
        ]  # fmt: skip
        # What the environment of this process says would win over the file.
        for name in (*environment, "GATEWAY_NAME", "GATEWAY_TLS", "GATEWAY_ADDRESS", "MARQUEE_SAMPLE", "MARQUEE_PUBLIC_READ"):
            os.environ.pop(name, None)
        self.partial = bool(without)
        self.services = [name for name in PROFILES[profile] if name not in without]
        # What a run that was killed left.
        self.down()

    @staticmethod
    def limits():
        """The file's own limits on open files, as far as this machine allows them; and a replica that tells who asks."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
        names = ["mysql", "marquee", *REPLICAS, "gateway"]
        limit = {"ulimits": {"nofile": {"soft": allowed, "hard": allowed}}}
        services = {name: dict(limit) for name in names}
        services[TELLS]["environment"] = {"MARQUEE_ACCESS_LOG": "on"}
        return {"version": "2.4", "services": services}

    def __call__(self, *arguments, **options):
        return run(*self.compose, *arguments, **options)

    def container(self, service):
        return self("ps", "-q", service).strip()

    def up(self):
        """As whoever follows deploy/README.md: but for what is left out, which would be pulled."""
        self("up", "-d", "--no-build", *(self.services if self.partial else []))
        label = "com.docker.compose"
        running = run(
            "docker", "ps", "--all", "--filter", f"label={label}.project=marquee-test", "--format", f'{{{{.Label "{label}.service"}}}}'
        )
        if sorted(running.split()) != sorted(self.services):
            raise Wrong(f"{running.split()} run, not {self.services}")
        for service in self.services:
            self.wait_healthy(service)
        return f"{len(self.services)} services up: {', '.join(self.services)}"

    def down(self):
        self("down", "--volumes", "--timeout", "60")

    def log(self, service):
        return run("docker", "logs", self.container(service), stderr=subprocess.STDOUT)

    def state(self, service):
        return json.loads(run("docker", "inspect", self.container(service)))[0]["State"]

    def wait_healthy(self, service):
        def healthy():
            state = self.state(service)
            return state["Running"] and state.get("Health", {"Status": "healthy"})["Status"] == "healthy"

        wait_for(f"a healthy {service}", healthy)

    def curl(self, *arguments):
        trusted = ["--cacert", self.certificate] if os.path.exists(self.certificate) else []
        return run("curl", "-sS", *trusted, "-H", f"Authorization: Bearer {self.token}", *arguments)

    def trusted(self):
        return ssl.create_default_context(cafile=self.certificate)

    def connect(self):
        """A connection to the gateway by TLS, on which HTTP/1.1 is spoken by hand."""
        return self.trusted().wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=60), server_hostname="localhost")

    def load(self, patient):
        return Load(self.port, self.token, self.certificate, patient=patient)


# ---------------------------------------------------------------------------------- what is looked at


def simple(stack):
    """The marquee of the simple stack has the sample, and takes a write from who has the token."""
    base = f"http://127.0.0.1:{stack.plain}/v1/movies"
    created = ["-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json", "-d", '{"title": "One"}']
    unauthorised, status = run("curl", "-sS", base, *created), stack.curl(base, *created)
    count = len(json.loads(stack.curl(base)))
    if (unauthorised, status, count) != ("401", "201", 3201):
        raise Wrong(f"without a token {unauthorised}, with one {status}; then {count} movies")
    return "the simple stack has the sample, and a write needs the token"


def settled(stack):
    """The gateway knows every replica, and clients its certificate."""
    # Ready is what the gateway has seen, too.
    wait_for("all replicas, at the gateway", lambda: all(f"{name} is ready" in stack.log("gateway") for name in REPLICAS))
    certificate = stack("exec", "-T", "gateway", "cat", "/etc/nginx/tls/tls.crt")
    pathlib.Path(stack.certificate).write_text(certificate)
    return "every replica is known to the gateway"


def tour(stack):
    """The README's tour, through the gateway, by TLS, with a token."""
    readme = (ROOT / "README.md").read_text()
    lines = readme.split("```sh tour\n")[1].split("\n```")[0].splitlines()
    # Not for the world: see the gateway's other manners.
    lines = [line for line in lines if "/metrics" not in line]
    script = "\n".join(lines).replace("http://127.0.0.1:8080", f"https://localhost:{stack.port}")
    wrapped = f"""
        curl() {{ command curl --http1.1 --cacert {stack.certificate} -H 'Authorization: Bearer {stack.token}' "$@"; }}
    """
    said = run("bash", "-euc", wrapped + script)
    rest = said
    for expected in (ROOT / "tests/tour/expected.txt").read_text().splitlines():
        if expected.startswith("marquee_"):
            continue
        expected = expected.replace("\\n", "\n")
        before, found, after = rest.partition(expected)
        if not found:
            raise Wrong(f"{expected!r} is not in the tour:\n{said}")
        # The members of an object have no order to rely on.
        if not expected.startswith('"status"'):
            rest = after
    return f"{len(lines)} lines of the tour through the gateway"


def manners(stack):
    """What the gateway adds, and what it leaves alone."""
    base = f"https://localhost:{stack.port}"
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    with tempfile.NamedTemporaryFile() as large:
        large.truncate(9 << 20)
        large.flush()
        sent = ["-H", "Content-Type: application/json", "--data-binary", f"@{large.name}"]
        seen = {
            "a body beyond the limit": stack.curl(f"{base}/v1/movies", "-w", " %{http_code} %{content_type}", *sent),
            "/metrics": stack.curl(f"{base}/metrics", *status),
            "speaking without TLS": stack.curl(f"http://localhost:{stack.port}/v1/genres", *status),
            "HTTP/2": stack.curl(f"{base}/v1/genres", "-o", "/dev/null", "-w", "%{http_version}"),
        }
    document, _, too_large = seen.pop("a body beyond the limit").rpartition("}")
    if too_large != " 413 application/problem+json" or json.loads(document + "}")["type"] != "/problems/body-too-large":
        raise Wrong(f"the gateway, of a body beyond the limit: {document}{too_large}")
    if list(seen.values()) != ["404", "308", "2"]:
        raise Wrong(f"the gateway: {seen}")
    # The very bytes, of every coding, and their tag.
    gateway = stack.container("gateway")
    for coding in ("gzip", "zstd", "identity"):
        asked = ["-sS", "--insecure", "-D", "-", "-H", f"Accept-Encoding: {coding}", "-H", "Marquee-Min-Revision: 1"]
        answers = set()
        for place in (*(f"http://{name}:8080" for name in REPLICAS), "https://localhost:8443"):
            command = ["docker", "exec", gateway, "curl", *asked, f"{place}/v1/movies"]
            head, _, body = subprocess.run(command, capture_output=True, timeout=LONG, check=True).stdout.partition(b"\r\n\r\n")
            headers = dict(re.findall(rb"(?m)^([\w-]+): (.*)\r?$", head.lower().replace(b"\r", b"")))
            if int(headers[b"content-length"]) != len(body):
                raise Wrong(f"{place} {coding}: {headers}, and {len(body)} bytes")
            answers.add((headers[b"etag"], headers.get(b"content-encoding"), headers[b"vary"], body))
        if len(answers) != 1:
            raise Wrong(f"{coding}: {[answer[:3] for answer in answers]}")
    # Prometheus sees each replica by itself.
    query = f"http://127.0.0.1:{stack.prometheus}/api/v1/query?query=up%7Bjob%3D%22marquee%22%7D"

    def scraped():
        with urllib.request.urlopen(query, timeout=60) as answer:
            return [it["value"][1] for it in json.load(answer)["data"]["result"]] == ["1"] * len(REPLICAS)

    wait_for("Prometheus' three replicas", scraped)
    return "413, 404, 308, HTTP/2; identity, gzip and zstd byte for byte as from each replica; 3 scraped by Prometheus"


def addresses(stack):
    """What a client says of its own address counts for nothing; what the gateway says, for everything."""
    forged = ["-o", "/dev/null", "-H", f"X-Forwarded-For: {NOBODY}", "-H", f"Forwarded: for={NOBODY}"]
    ids = [secrets.token_hex(16) for _ in range(60)]
    for each in ids:
        stack.curl(*forged, "-H", f"X-Request-Id: {each}", f"https://localhost:{stack.port}/v1/genres")
    by_gateway = secrets.token_hex(16)
    run("docker", "exec", stack.container("gateway"), "curl", "-sS", *forged[:4], "-H", f"X-Request-Id: {by_gateway}", f"http://{TELLS}:8080/v1/genres")

    def clients(wanted):
        lines = [line for line in stack.log(TELLS).splitlines() if any(each in line for each in wanted)]
        return [re.search(r"client=(\S+)", line).group(1) for line in lines]

    wait_for("a line of what the gateway sent", lambda: clients([by_gateway]))
    seen, believed = clients(ids), clients([by_gateway])
    if not seen or NOBODY in seen or believed != [NOBODY]:
        raise Wrong(f"{TELLS} takes clients for {set(seen)}, and what the gateway says for {believed}")
    return f"a forged address is not believed ({len(seen)} requests)"


def floods(stack):
    """Who asks too often is told so; soon after, it may ask again."""
    asked = f"GET /v1/genres HTTP/1.1\r\nHost: localhost:{stack.port}\r\n".encode()

    async def pipelined(count):
        # In one thread: a connection by TLS is not to be read in one and written to in another.
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port, ssl=stack.trusted(), server_hostname="localhost")
        writer.write((asked + b"\r\n") * (count - 1) + asked + b"Connection: close\r\n\r\n")
        said = await reader.read()
        writer.close()
        answers = re.split(rb"(?=HTTP/1\.1 \d{3} )", said)[1:]
        if len(answers) != count:
            raise Wrong(f"{count} requests on one connection, {len(answers)} answers: {said[-1000:]}")
        return answers

    async def at_once():
        return await asyncio.wait_for(asyncio.gather(*(pipelined(AT_ONCE) for _ in range(FLOOD // AT_ONCE))), LONG)

    answers = [answer for each in asyncio.run(at_once()) for answer in each]
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 429 ")]
    done = sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    if not refused or done < 1000 or done + len(refused) != FLOOD:
        raise Wrong(f"of {FLOOD} requests {done} were answered and {len(refused)} refused")
    for refusal in refused:
        told(refusal)
    may_ask(stack)
    return f"429 and Retry-After: {len(refused)} of {FLOOD} requests at once"


def crowds(stack):
    """Who asks on too many connections at once is told so; soon after, it may ask again."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    head = f"POST /v1/movies HTTP/1.1\r\nHost: localhost:{stack.port}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n".encode()
    connections, crowded = [], 0
    try:
        for _ in range(CROWD):
            connections.append(stack.connect())
            connections[-1].sendall(head)
        # Those that it has room for are waited for: their bodies do not come.
        for connection in reversed(connections):
            connection.settimeout(0 if crowded else 5)
            try:
                said = connection.recv(1 << 16)
            except (ssl.SSLWantReadError, TimeoutError):
                continue
            connection.settimeout(60)
            while not said.endswith(b"}") and (more := connection.recv(1 << 16)):
                said += more
            told(said)
            crowded += 1
    finally:
        for connection in connections:
            connection.close()
    if not 0 < crowded <= CROWD - 500:
        raise Wrong(f"{crowded} of {CROWD} connections were refused")
    may_ask(stack)
    return f"429 and Retry-After: {crowded} of {CROWD} connections at once"


def told(refusal):
    head, _, body = refusal.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    if not status.startswith(b"HTTP/1.1 429 ") or b"Retry-After: 1" not in headers or json.loads(body)["type"] != "/problems/rate-limited":
        raise Wrong(f"a refusal: {refusal}")


def may_ask(stack):
    status = ["-o", "/dev/null", "-w", "%{http_code}", f"https://localhost:{stack.port}/v1/genres"]
    wait_for("an answer after a refusal", lambda: stack.curl(*status) == "200")


def kills(stack):
    """Each container is killed under load and started again: clients that retry notice no more than a pause."""
    told = []
    with stack.load(patient=True) as load:
        load.progress()
        for service in stack.services:
            before = dict(load.figures)
            container = stack.container(service)
            run("docker", "kill", "--signal", "KILL", container)
            wait_for(f"the end of {service}", lambda: not stack.state(service)["Running"])
            # What can be answered without it is.
            if service not in ("mysql", "gateway"):
                load.progress(by=10)
            run("docker", "start", container)
            stack.wait_healthy(service)
            load.progress()
            load.check()
            figures = {name: load.figures[name] - before[name] for name in before}
            told.append(f"{service} ({figures['refused']} of {figures['requests']} requests sent again)")
        load.check()
    load.check()
    final(stack, load)
    return f"killed under load: {', '.join(told)}; {summary(load)}"


def rolling(stack):
    """The replicas are replaced one after another, under load of clients that send everything once."""
    with stack.load(patient=False) as load:
        load.progress()
        before = {name: stack.container(name) for name in REPLICAS}
        run("deploy/roll", env=os.environ | {"COMPOSE": " ".join(stack.compose)})
        load.progress()
        if any(stack.container(name) == before[name] for name in REPLICAS):
            raise Wrong("a replica was not replaced")
    load.check()
    final(stack, load)
    return f"3 replicas replaced under load: {load.figures['refused']} client errors; {summary(load)}"


def final(stack, load):
    """When all is quiet, each replica has all that was acknowledged, and nothing that was deleted."""
    load.patient = True
    gateway = stack.container("gateway")
    for replica in REPLICAS:
        asked = ["-sS", "-H", f"Marquee-Min-Revision: {load.revision}", f"http://{replica}:8080/v1/movies"]
        movies = {movie["id"]: movie for movie in json.loads(run("docker", "exec", gateway, "curl", *asked))}
        for number, movie in load.movies.items():
            if movies.get(number) != movie:
                raise Wrong(f"{replica}: {movie} is {movies.get(number)}")
        if load.gone & movies.keys():
            raise Wrong(f"{replica}: deleted and there: {load.gone & movies.keys()}")


def summary(load):
    figures = load.figures
    return (
        f"{figures['requests']} requests; {figures['writes']} writes acknowledged, none lost; {figures['reads']} reads of a movie and "
        f"{figures['collections']} of the collection, none older than acknowledged"
    )


def through(stack, steps):
    """Brings a stack up, goes through the steps, and takes it down."""
    passed = 0
    try:
        for step in (Stack.up, *steps):
            began = time.monotonic()
            told = step(stack)
            say(f"{told} ({time.monotonic() - began:.0f} s)")
            passed += 1
    except BaseException:
        for service in stack.services:
            say(f"the end of {service}'s log:")
            print(stack("logs", "--no-color", "--tail", "40", service, check=False), flush=True)
        raise
    finally:
        say("taking it down")
        stack.down()
    return passed


def main():
    without = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        passed = through(Stack(pathlib.Path(folder), "simple"), [simple])
    with tempfile.TemporaryDirectory() as folder:
        passed += through(Stack(pathlib.Path(folder), "full", without), [settled, tour, manners, addresses, floods, crowds, kills, rolling])
    for name in without:
        say(f"not started: {name}, of which there is no image")
    say(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
