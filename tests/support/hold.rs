//! A wire to MySQL that holds one connection at a moment that it is told, until it is let go on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::proxy::{is_commit, read_packet};

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a connection is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A load's last question, for directors: the view that it reads from is there by then.
    LastQuestion,
    /// The end of a transaction that only reads: it knows all that it asked for, and has told nobody.
    EndOfReading,
    /// The answer to a COMMIT: what it commits is there, and who committed it does not know.
    AnswerToCommit,
}

/// Lives until it is dropped.
pub(crate) struct Wire {
    address: SocketAddr,
    hold: Arc<Hold>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Hold {
    armed: Mutex<Option<Moment>>,
    held: Notify,
    released: watch::Sender<bool>,
}

impl Wire {
    /// Listens on a free port in front of `upstream`; see [`super::TestDatabase::address`].
    pub(crate) async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hold = Arc::new(Hold::default());
        let shared = Arc::clone(&hold);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(upstream).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let answers = watch::Sender::new(true);
                tokio::spawn(pass(from_server, to_client, answers.subscribe()));
                tokio::spawn(statements(from_client, to_server, Arc::clone(&shared), answers));
            }
        });
        Self { address, hold, listening }
    }

    /// What the client connects to; see [`super::TestDatabase::url_through`].
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds the first connection for which that moment comes.
    pub(crate) fn arm(&self, moment: Moment) {
        *self.hold.armed.lock().unwrap() = Some(moment);
    }

    /// Waits until one is held.
    pub(crate) async fn is_held(&self) {
        tokio::time::timeout(PATIENCE, self.hold.held.notified()).await.unwrap();
    }

    /// Lets it go on.
    pub(crate) fn release(&self) {
        self.hold.released.send_replace(true);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Hold {
    /// Whether it is this moment that is waited for; of each that was armed, once.
    fn takes(&self, moment: Moment) -> bool {
        let mut armed = self.armed.lock().unwrap();
        let takes = *armed == Some(moment);
        if takes {
            *armed = None;
        }
        takes
    }

    async fn until_released(&self) -> Option<()> {
        self.held.notify_one();
        self.released.subscribe().wait_for(|released| *released).await.ok().map(drop)
    }
}

/// Client to server, packet by packet.
async fn statements(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    hold: Arc<Hold>,
    answers: watch::Sender<bool>,
) -> Option<()> {
    let mut reading = false;
    loop {
        let packet = read_packet(&mut from).await?;
        let text = String::from_utf8_lossy(&packet);
        if text.contains("START TRANSACTION") {
            reading = text.contains("READ ONLY");
        }
        let last_question = reading && text.contains("movie_directors") && hold.takes(Moment::LastQuestion);
        if last_question || reading && text.contains("ROLLBACK") && hold.takes(Moment::EndOfReading) {
            hold.until_released().await?;
        }
        let answer = is_commit(&packet) && hold.takes(Moment::AnswerToCommit);
        if answer {
            answers.send_replace(false);
        }
        to.write_all(&packet).await.ok()?;
        if answer {
            hold.until_released().await?;
            answers.send_replace(true);
        }
    }
}

/// Server to client, as it comes, while answers go through.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut through: watch::Receiver<bool>,
) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = from.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        through.wait_for(|through| *through).await.ok()?;
        to.write_all(&buffer[..n]).await.ok()?;
    }
}
