//! No connection is held for ever, whatever came on it: clients that send parts of requests in an order of chance, then
//! nothing more, and do not hang up. Each must be closed, once all that it asked for has had its time.

use std::fmt::Write as _;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::kit::is_well;
use crate::support::Marquee;

const CONNECTIONS: u64 = 1500;
/// How long it is waited for that one is closed: longer than the waits of all that it can have asked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Parts of requests, good and bad, and of what looks like them.
const PARTS: [&str; 23] = [
    "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /v1/movies HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n",
    "GET /v1/movies/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    "GET /v1/movies HTTP/1.1\r\nHost: h\r\nMarquee-Min-Revision: 9999999\r\n\r\n",
    "GET /v1/movies HTTP/1.1\r\nHost: h\r\nMarquee-Min-Revision: 9999999\r\nTransfer-Encoding: chunked\r\n",
    "GET /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /livez HT",
    "TP/1.1\r\nHost: h\r\nX-Slow: a",
    "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n",
    "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n",
    "DELETE /v1/movies/999999 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody",
    ANNOUNCES,
    ANNOUNCES,
    "{\"title\":\"a\"}",
    "{\"t",
    "e\r\n",
    "e;a HTTP/1.1\r\n",
    "x HTTP/1.1\r\n\r\n",
    "filler text!\r\n",
    "0\r\n\r\n",
    "\r\n",
    "\r\n0\r\n\r\n",
];
/// The head of a POST, whose length is to be told behind it.
const ANNOUNCES: &str =
    "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ";

/// What is sent at once. Lengths that it announces are of what is behind one of its parts, as a body would be whose head
/// came in front of that.
fn packet(random: &mut SmallRng) -> String {
    let parts: Vec<_> =
        (0..random.random_range(1..=6)).map(|_| PARTS[random.random_range(0..PARTS.len())]).collect();
    // A length has three digits, with what ends its line and its head.
    let length = |part: &&str| if *part == ANNOUNCES { part.len() + 7 } else { part.len() };
    let mut packet = String::new();
    for part in &parts {
        packet.push_str(part);
        if *part == ANNOUNCES {
            let behind: usize = parts[random.random_range(0..parts.len())..].iter().map(length).sum();
            write!(packet, "{:03}\r\n\r\n", behind.min(999)).unwrap();
        }
    }
    packet
}

/// Sends what chance says, and waits for the end.
async fn send(address: std::net::SocketAddr, mut random: SmallRng) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut sent = Vec::new();
    for _ in 0..random.random_range(1..=4) {
        let packet = packet(&mut random);
        // It may have hung up already.
        let _ = stream.write_all(packet.as_bytes()).await;
        sent.push(packet);
        sleep(Duration::from_millis(random.random_range(0..300))).await;
    }
    let end = async { while let Ok(1..) = stream.read(&mut [0; 64 << 10]).await {} };
    assert!(timeout(PATIENCE, end).await.is_ok(), "it is held, after these packets: {sent:#?}");
}

proof_on! {
    async fn no_connection_is_held_for_ever(db) {
        rlimit::increase_nofile_limit(8192).unwrap();
        let marquee = Marquee::prepare(db.url())
            .env("MARQUEE_SAMPLE", "off")
            .env("MARQUEE_HEADER_TIMEOUT_MS", "1000")
            .env("MARQUEE_REQUEST_TIMEOUT_MS", "1000")
            .env("MARQUEE_STALL_MS", "1000")
            .env("MARQUEE_KEEP_ALIVE_MS", "1000")
            .start()
            .await;
        marquee.wait_ready().await;
        let seed: u64 = rand::random();
        eprintln!("seed {seed}");
        let mut clients = JoinSet::new();
        for number in 0..CONNECTIONS {
            clients.spawn(send(marquee.address(), SmallRng::seed_from_u64(seed ^ number)));
            sleep(Duration::from_millis(2)).await;
        }
        clients.join_all().await;
        is_well(&marquee).await;
    }
    sqlite: Sqlite
}
