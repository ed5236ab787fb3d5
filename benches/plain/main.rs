//! The plain form of this service, as a contestant of `./bench`: what most services of this kind are.
//!
//! ```text
//! cargo bench --bench plain -- mysql://user:password@host:3306/database [POOL]
//! ```
//!
//! actix, diesel-async with a pool, moka. The whole collection is cached under **one key**, as the bytes that go out;
//! every write is a transaction of its own and, once that is committed, invalidates the key. The next reader reads
//! the whole collection again, the others wait for it (`try_get_with`). Bodies are gzipped for each request that takes
//! gzip.
//!
//! It is as good as that form gets: bytes are cached rather than rows, a tag makes 304s, lists of genres and directors are read
//! in three queries however many movies there are. What it lacks on purpose is what marquee adds. (Its cache can keep an
//! old collection when a load and a commit meet, since `invalidate` does not stop a load that has begun.)
//!
//! Its tables are made at the start where they are not there. It prints its address, and ends by SIGTERM. With
//! `PLAIN_RETRIES=N` it runs a transaction that was a deadlock's victim again, N times at most; without, that is a 500.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may stop")]

mod database;
mod model;
mod service;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(url) = args.next() else {
        println!("plain: the URL of a database is missing; ./bench names one");
        return;
    };
    let connections = args.next().map_or(100, |pool| pool.parse().unwrap());
    let retries = std::env::var("PLAIN_RETRIES").ok().map_or(0, |retries| retries.parse().unwrap());
    service::serve(database::Database::open(&url, connections, retries).await).await;
}
