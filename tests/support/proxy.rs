//! A wire between marquee and MySQL that fails when it is told to; or between any two, without an eye for COMMITs.
//!
//! What the client of MySQL sends is read packet by packet, so that a COMMIT can be told from other statements;
//! what the server answers is passed as bytes. Knows the protocol without TLS and without compression.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the wire behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything goes through.
    Pass,
    /// Open connections are reset, new ones too as soon as they are made.
    Cut,
    /// Connections stay, and can be made, but no byte goes through, in either direction.
    Stall,
    /// Whatever is sent comes so much later, in either direction.
    Delay(Duration),
    /// Questions go through; of the answers one byte in [`TRICKLE`].
    Trickle,
}

/// The time of one byte of an answer that trickles: for who waits for all of it, as good as none.
const TRICKLE: Duration = Duration::from_secs(1);

/// What happens to a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCommit {
    /// It reaches the server and takes effect; the answer is lost and the connection cut.
    LoseAnswer,
    /// The connection is cut before it reaches the server: the transaction is rolled back.
    Prevent,
    /// It is held for as long as the wire stalls, which it does from then on where that is what comes then.
    Hold,
    /// The connection is cut for the client alone: the COMMIT reaches the server when [`Proxy::deliver`] says so.
    Delay,
}

/// Lives until it is dropped; its connections go with it.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    mysql: bool,
    upstream: Mutex<SocketAddr>,
    mode: watch::Sender<Mode>,
    open: watch::Sender<usize>,
    /// How often the server vanished.
    vanished: watch::Sender<u64>,
    armed: Mutex<VecDeque<(OnCommit, Mode)>>,
    /// A COMMIT that is delayed, and its connection.
    delayed: Mutex<Option<(TcpStream, Vec<u8>)>>,
    accepted: AtomicU64,
    commits: AtomicU64,
    fired: AtomicU64,
}

impl Proxy {
    /// Listens on a free port in front of `upstream`; see [`super::TestDatabase::address`].
    pub(crate) async fn to(upstream: SocketAddr) -> Self {
        Self::of(true, upstream).await
    }

    /// The same for what is not MySQL: no COMMIT is seen there.
    pub(crate) async fn of_any(upstream: SocketAddr) -> Self {
        Self::of(false, upstream).await
    }

    async fn of(mysql: bool, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mysql,
            upstream: Mutex::new(upstream),
            mode: watch::Sender::new(Mode::Pass),
            open: watch::Sender::new(0),
            vanished: watch::Sender::new(0),
            armed: Mutex::default(),
            delayed: Mutex::default(),
            accepted: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            fired: AtomicU64::new(0),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { address, shared, listening }
    }

    /// What the client connects to; see [`super::TestDatabase::url_through`].
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Heals the wire. What was held while it stalled goes through.
    pub(crate) fn pass(&self) {
        self.shared.mode.send_replace(Mode::Pass);
    }

    /// Holds every byte from now on.
    pub(crate) fn stall(&self) {
        self.shared.mode.send_replace(Mode::Stall);
    }

    /// Makes everything late from now on.
    pub(crate) fn delay(&self, by: Duration) {
        self.shared.mode.send_replace(Mode::Delay(by));
    }

    /// Lets answers drip from now on.
    pub(crate) fn trickle(&self) {
        self.shared.mode.send_replace(Mode::Trickle);
    }

    /// Leads new connections to another server, which has taken the place of the one before.
    pub(crate) fn redirect(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock().unwrap() = upstream;
    }

    /// What is open is silent from now on, and is not closed either, as where a host is lost and another one takes its address:
    /// new connections go through.
    pub(crate) fn vanish(&self) {
        self.shared.vanished.send_modify(|times| *times += 1);
    }

    /// Resets every connection; returns when all are gone.
    pub(crate) async fn cut(&self) {
        self.shared.mode.send_replace(Mode::Cut);
        self.shared.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }

    /// Arms the next COMMIT that is not armed yet, once. Afterwards the wire is in mode `then`: [`Mode::Pass`] lets the
    /// client connect anew at once, [`Mode::Cut`] leaves it without the database.
    pub(crate) fn on_commit(&self, what: OnCommit, then: Mode) {
        self.shared.armed.lock().unwrap().push_back((what, then));
    }

    /// Lets the COMMIT that was delayed reach the server, and waits for its answer.
    pub(crate) async fn deliver(&self) {
        let (mut server, commit) = self.shared.delayed.lock().unwrap().take().unwrap();
        server.write_all(&commit).await.unwrap();
        assert!(server.read(&mut [0; 1024]).await.unwrap() > 0, "the server gave no answer");
    }

    /// The COMMITs seen so far, those that were lost or prevented included.
    pub(crate) fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::SeqCst)
    }

    /// How often an armed COMMIT came.
    pub(crate) fn fired(&self) -> u64 {
        self.shared.fired.load(Ordering::SeqCst)
    }

    /// The connections made so far, those that were reset at once included.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// The connections that are open now.
    pub(crate) fn open(&self) -> usize {
        *self.shared.open.borrow()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.shared.mode.send_replace(Mode::Cut);
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        reset_when_closed(&client);
        // Counted before the mode is looked at: cut() waits for it, or it sees the cut.
        shared.open.send_modify(|open| *open += 1);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            serve(client, &shared).await;
            shared.open.send_modify(|open| *open -= 1);
        });
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) {
    if *shared.mode.borrow() == Mode::Cut {
        return;
    }
    let upstream = *shared.upstream.lock().unwrap();
    let Ok(Ok(mut server)) =
        tokio::time::timeout(Duration::from_secs(10), TcpStream::connect(upstream)).await
    else {
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    reset_when_closed(&server);
    let answer_lost = AtomicBool::new(false);
    let (mut mode, mut vanished) = (shared.mode.subscribe(), shared.vanished.subscribe());
    let mut is_gone = false;
    // Borrowed halves: owned ones would say goodbye in order when they are dropped.
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let questions = async {
        if shared.mysql {
            return statements(from_client, to_server, shared, &answer_lost).await;
        }
        answers(from_client, to_server, shared, &AtomicBool::new(false)).await;
        None
    };
    let delayed = tokio::select! {
        delayed = questions => delayed,
        _ = answers(from_server, to_client, shared, &answer_lost) => None,
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => None,
        _ = vanished.changed() => {
            is_gone = true;
            None
        }
    };
    if is_gone {
        // With its host, what it was asked to do is gone as well.
        drop(server);
        let mut ignored = [0; 1024];
        let given_up = async { while client.read(&mut ignored).await.is_ok_and(|n| n > 0) {} };
        tokio::select! {
            () = given_up => {}
            _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
        }
        return;
    }
    if let Some((commit, then)) = delayed {
        *shared.delayed.lock().unwrap() = Some((server, commit));
        fire(shared, then);
    }
    // Both sockets are dropped here, or the client's alone: cut.
}

/// Client to server, packet by packet. Ends when the connection is to be cut; with the COMMIT, where that is delayed.
async fn statements(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
    answer_lost: &AtomicBool,
) -> Option<(Vec<u8>, Mode)> {
    loop {
        let packet = read_packet(&mut from).await?;
        passing(shared).await?;
        if is_commit(&packet) {
            shared.commits.fetch_add(1, Ordering::SeqCst);
            let armed = shared.armed.lock().unwrap().pop_front();
            if let Some((what, then)) = armed {
                match what {
                    OnCommit::Hold => {
                        fire(shared, then);
                        passing(shared).await?;
                    }
                    OnCommit::Delay => return Some((packet, then)),
                    OnCommit::Prevent => {
                        fire(shared, then);
                        return None;
                    }
                    OnCommit::LoseAnswer => {
                        // answers() cuts once the server has said that it is done.
                        answer_lost.store(true, Ordering::SeqCst);
                        to.write_all(&packet).await.ok()?;
                        wait_for_loss(answer_lost).await;
                        fire(shared, then);
                        return None;
                    }
                }
            }
        }
        to.write_all(&packet).await.ok()?;
    }
}

/// Server to client, as it comes.
async fn answers(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
    answer_lost: &AtomicBool,
) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = from.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        if answer_lost.swap(false, Ordering::SeqCst) {
            // Swallowed; statements() sees it and cuts.
            std::future::pending::<()>().await;
        }
        if passing(shared).await? == Mode::Trickle {
            trickle(&buffer[..n], &mut to, shared).await?;
        } else {
            to.write_all(&buffer[..n]).await.ok()?;
        }
    }
}

/// Lets bytes drip until the wire does something else; then the rest goes at once.
async fn trickle(bytes: &[u8], to: &mut WriteHalf<'_>, shared: &Shared) -> Option<()> {
    let mut mode = shared.mode.subscribe();
    for (n, byte) in bytes.iter().enumerate() {
        let otherwise = mode.wait_for(|mode| *mode != Mode::Trickle);
        if tokio::time::timeout(TRICKLE, otherwise).await.is_ok() {
            passing(shared).await?;
            return to.write_all(&bytes[n..]).await.ok();
        }
        to.write_all(&[*byte]).await.ok()?;
    }
    Some(())
}

fn fire(shared: &Shared, then: Mode) {
    shared.fired.fetch_add(1, Ordering::SeqCst);
    shared.mode.send_replace(then);
}

async fn wait_for_loss(answer_lost: &AtomicBool) {
    while answer_lost.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits while the wire stalls, and as long as it delays; how it behaves then. `None` when it is cut.
async fn passing(shared: &Shared) -> Option<Mode> {
    let mut mode = shared.mode.subscribe();
    let now = *mode.wait_for(|mode| *mode != Mode::Stall).await.ok()?;
    if let Mode::Delay(by) = now {
        tokio::time::sleep(by).await;
    }
    (now != Mode::Cut).then_some(now)
}

/// The next packet of a client, with its head.
pub(crate) async fn read_packet(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet).await.ok()?;
    let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]);
    packet.resize(4 + length as usize, 0);
    from.read_exact(&mut packet[4..]).await.ok()?;
    Some(packet)
}

/// A command packet (sequence 0) with COM_QUERY (3) and the statement COMMIT, alone or behind others.
pub(crate) fn is_commit(packet: &[u8]) -> bool {
    let Some((0, 3, statement)) = packet.get(3).zip(packet.get(4)).map(|(s, c)| (*s, *c, &packet[5..]))
    else {
        return false;
    };
    let statements = String::from_utf8_lossy(statement);
    let last = statements.rsplit(';').map(str::trim).find(|statement| !statement.is_empty());
    last.is_some_and(|statement| statement.eq_ignore_ascii_case("commit"))
}

/// A close is a reset, as when a host goes away: the other side gets an error, not an orderly end.
fn reset_when_closed(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok();
}
