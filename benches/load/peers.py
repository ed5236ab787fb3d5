"""The peers that marquee is measured against. Each in the form that its makers recommend; what was chosen is said here."""

import contextlib
import json
import os
import re
import shutil
import sys
import time

from .check import ask
from .context import version
from .process import Process
from .servers import Server, answers, free_port

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contestants")
# An answer's fields, as the SQL tables of the twins have them.
COLUMNS = ("id", "imdb_id", "title", "year", "runtime_minutes", "rating", "votes", "popularity")


def versions():
    """For a scenario's versions()."""
    def packages():
        with open(os.path.join(HERE, "requirements.txt"), encoding="ascii") as file:
            return dict(re.findall(r"^([\w.-]+)==(\S+)$", file.read(), re.MULTILINE))
    with open(os.path.join(HERE, "package.json"), encoding="ascii") as file:
        npm = json.load(file)["dependencies"]
    python = packages()
    return {
        "nginx": version(["nginx", "-v"], r"nginx/([\d.]+)"),
        "Varnish": version(["varnishd", "-V"], r"varnish-([\d.]+)"),
        "json-server": f"{npm['json-server']} on Node {version(['node', '--version'])}",
        "Python": sys.version.split()[0],
        **{name: python[name] for name in ("Flask", "Flask-RESTful", "SQLAlchemy", "gunicorn", "mysqlclient")},
        "MariaDB": version(["mariadbd", "--version"], r"Ver ([\d.]+)"),
    }


def cores():
    return len(os.sched_getaffinity(0))


def nginx(context, ready, name="nginx"):
    """nginx with files: as it is, and gzipped beforehand (gzip_static). Its own tags make 304s."""
    folder = context.new_folder("nginx")
    root = os.path.join(folder, "root", "v1")
    os.makedirs(root)
    shutil.copy(os.path.join(ready, "identity"), os.path.join(root, "movies"))
    shutil.copy(os.path.join(ready, "gzip"), os.path.join(root, "movies.gz"))
    return _nginx(folder, name, "nginx-static.conf", root=os.path.join(folder, "root"))


def nginx_cache(context, origin, name="nginx cache"):
    """nginx with proxy_cache in front of a marquee that allows it to keep answers."""
    folder = context.new_folder("nginx-cache")
    return _nginx(folder, name, "nginx-cache.conf", origin=origin.base.removeprefix("http://"))


def _nginx(folder, name, template, **values):
    port = free_port()
    config = _filled(template, folder, port=port, workers=cores(), **values)
    if os.geteuid() == 0:
        # Its workers would be another user, who may not read a temporary folder.
        with open(config, "r+", encoding="utf-8") as file:
            text = file.read()
            file.seek(0)
            file.write("user root;\n" + text)
    process = Process(name.replace(" ", "-"), ["nginx", "-p", folder, "-e", os.path.join(folder, "error.log"), "-c", config], folder)
    server = Server(name, process, f"http://127.0.0.1:{port}/v1/movies")
    answers(process, server.url)
    return server


def varnish(context, origin, name="Varnish"):
    """Varnish in front of a marquee that allows it to keep answers, with room in memory for all of them.

    http_gzip_support is off: with it Varnish keeps gzip alone and unpacks it for each client that takes none, so that it would
    not have ready bytes as the others have. All else is as it comes.
    """
    folder = context.new_folder("varnish")
    port = free_port()
    vcl = _filled("varnish.vcl", folder, origin_port=origin.base.rpartition(":")[2])
    process = Process("varnish", ["varnishd", "-F", "-j", "none", "-f", vcl, "-a", f"127.0.0.1:{port}", "-T", "none",
                                  "-n", os.path.join(folder, "work"), "-s", "malloc,1g", "-p", "http_gzip_support=off"], folder)
    server = Server(name, process, f"http://127.0.0.1:{port}/v1/movies")
    answers(process, server.url)
    return server


def json_server(context, collection, name="json-server"):
    """json-server on a file of the same movies, quiet. Node has one thread for JavaScript."""
    folder = context.new_folder("json-server")
    file = os.path.join(folder, "db.json")
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"movies": collection.movies()}, out)
    port = free_port()
    process = Process("json-server", [os.path.join(context.node_modules, ".bin", "json-server"), "--host", "127.0.0.1", "--port", port,
                                      "--quiet", "--read-only", file], folder, env={"NODE_ENV": "production"})
    server = Server(name, process, f"http://127.0.0.1:{port}/movies")
    answers(process, server.url)
    return server


def fill(context, url, collection):
    """Makes the twins' tables in a MySQL or MariaDB database, and fills them with a collection."""
    with plain(context, url):
        pass
    import MySQLdb  # of the Python environment that ./bench makes
    import urllib.parse

    parts = urllib.parse.urlsplit(url)
    connection = MySQLdb.connect(host=parts.hostname, port=parts.port, user=parts.username, passwd=parts.password or "",
                                 db=parts.path.strip("/"), charset="utf8mb4")
    ids = {"genres": {}, "directors": {}}
    now = int(time.time())
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("SET foreign_key_checks = 0, unique_checks = 0")
        movies = collection.movies()
        for begin in range(0, len(movies), 5000):
            chunk = movies[begin:begin + 5000]
            links, names = {"genres": [], "directors": []}, {"genres": [], "directors": []}
            for movie in chunk:
                for what, known in ids.items():
                    for position, each in enumerate(movie[what]):
                        if each not in known:
                            known[each] = len(known) + 1
                            names[what].append((known[each], each))
                        links[what].append((movie["id"], position, known[each]))
            cursor.executemany(f"INSERT INTO movies ({', '.join(COLUMNS)}, version, created_at, updated_at) VALUES "
                               f"({', '.join(['%s'] * (len(COLUMNS) + 3))})",
                               [(*(movie[column] for column in COLUMNS), 1, now, now) for movie in chunk])
            for what, one in (("genres", "genre"), ("directors", "director")):
                if names[what]:
                    cursor.executemany(f"INSERT INTO {what} (id, name) VALUES (%s, %s)", names[what])
                if links[what]:
                    cursor.executemany(f"INSERT INTO movie_{what} (movie_id, position, {one}_id) VALUES (%s, %s, %s)", links[what])
            connection.commit()
        cursor.execute("ANALYZE TABLE movies, genres, directors, movie_genres, movie_directors")
        cursor.fetchall()


def plain(context, url, name="plain", **settings):
    """The plain form of this service (benches/plain) on a database that fill() filled. It has not read it yet."""
    process = Process("plain", [context.binaries.plain, url], context.new_folder("plain"), env=settings)

    def said():
        found = re.search(r"http://\S+", process.said())
        return found and found.group(0)
    server = Server(name, process, f"{process.wait_until(said)}/v1/movies")
    answers(process, f"{server.base}/metrics")
    return server


def flask(context, url, name="Flask"):
    """The Flask twin under gunicorn, on a MariaDB database that fill() filled.

    A worker for each core, of gunicorn's default kind, which keeps no connection. Five workers, and threads that keep
    theirs, were tried: both were slower, since Python runs one thread at a time.
    """
    port = free_port()
    folder = context.new_folder("flask")
    environment = {"TWIN_DATABASE_URL": url.replace("mysql://", "mysql+mysqldb://") + "?charset=utf8mb4"}
    process = Process("flask", [os.path.join(os.path.dirname(sys.executable), "gunicorn"), "--bind", f"127.0.0.1:{port}",
                                "--workers", cores(), "--timeout", "600", "--no-control-socket",
                                "--chdir", os.path.join(HERE, "flask_twin"), "app:app"], folder, env=environment)
    server = Server(name, process, f"http://127.0.0.1:{port}/v1/movies", keeps_alive=False)
    answers(process, server.url, 300)
    return server


def _filled(template, folder, **values):
    """A configuration with its @…@ filled in."""
    with open(os.path.join(HERE, template), encoding="utf-8") as file:
        text = file.read()
    for name, value in {"folder": folder, **values}.items():
        text = text.replace(f"@{name}@", str(value))
    target = os.path.join(folder, template)
    with open(target, "w", encoding="utf-8") as out:
        out.write(text)
    return target


def time_of_one(server, kind):
    """Seconds that one answer takes when nothing else is asked: of a first that is cold or disturbed, and others, the least."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        ask(server.url, headers=server.headers(kind))
        took.append(time.monotonic() - began)
    return min(took)
