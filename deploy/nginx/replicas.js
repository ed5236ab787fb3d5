// Which replica is asked. nginx finds out for itself only by failing: it would go on asking a marquee that has been told
// to stop until nobody listens there, and one that has just come up before it has learnt its state.

const replicas = ["marquee-1", "marquee-2", "marquee-3"];

// How often in a row a ready replica may leave the question unanswered: it may only be busy. What it says counts at once.
const LIVES = 4;
// A connection that is refused is so sooner than this; one that times out (js_fetch_timeout) is not.
const SILENCE_MS = 500;

// Notes who is ready, as how many lives it has: js_periodic calls it.
async function look() {
    await Promise.all(replicas.map(async (name) => {
        const before = ngx.shared.lives.get(name) || 0;
        const began = Date.now();
        let now = 0;
        try {
            now = (await ngx.fetch(`http://${name}:8080/readyz`)).status === 200 ? LIVES : 0;
        } catch (error) {
            now = Date.now() - began < SILENCE_MS ? 0 : Math.max(before - 1, 0);
        }
        if ((before > 0) !== (now > 0)) {
            ngx.log(ngx.WARN, `${name} is ${now > 0 ? "ready" : "not ready"}`);
        }
        ngx.shared.lives.set(name, now);
    }));
}

// Any of those that are ready; where none is, any of all: its answer says more than ours could.
function pick() {
    const ready = replicas.filter((name) => ngx.shared.lives.get(name) > 0);
    const from = ready.length > 0 ? ready : replicas;
    return from[Math.floor(Math.random() * from.length)];
}

export default { look, pick };
