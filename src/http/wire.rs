//! A connection's stream, which keeps the time of what its client does.
//!
//! actix-http limits the time of a request's head on a new connection alone, lets the rest of a body that
//! nobody reads come as slowly as it likes, and an answer leave so. Here is what it leaves open:
//!
//! - a head on a connection that is kept alive has `MARQUEE_HEADER_TIMEOUT_MS` from its first byte, or from the
//!   answer to the request before it, if it began earlier;
//! - bytes that are neither a head nor a body that somebody reads may come for as long as a request may take;
//! - an answer must be read at `MARQUEE_MIN_RATE`, once it has had to wait; that it makes progress at all is
//!   the kernel's to see (`limits::on_connect`).
//!
//! Whoever is late is cut off. No timer runs for a head that comes in one piece, nor for an answer that does
//! not wait: that is the hot path.

mod head;

use std::cell::Cell;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Instant, Sleep, sleep};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::Pace;
use head::{Found, Scan};

/// How long the client of a connection may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the first byte of a head to its last.
    pub(super) head: Duration,
    /// Without a byte, behind a body that was read: how much of what came with it was the body, and how much the next
    /// head, only actix-http knows.
    pub(super) idle: Duration,
    /// What comes after a head, until an answer begins, where nobody reads it as a body.
    pub(super) unread: Duration,
    /// The reading of answers.
    pub(super) pace: Pace,
}

/// What the application tells the connection that its request came on.
#[derive(Debug, Default)]
pub(super) struct Link {
    body_is_read: Cell<bool>,
    /// Whether the body of the newest request was read.
    body_was_read: Cell<bool>,
}

/// For as long as it is there, what arrives is a body, and whoever reads it keeps its time.
pub(super) struct Reading(Option<Rc<Link>>);

impl Reading {
    pub(super) fn on(link: Option<&Rc<Link>>) -> Self {
        let link = link.cloned();
        if let Some(link) = &link {
            link.body_is_read.set(true);
            link.body_was_read.set(true);
        }
        Self(link)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.body_is_read.set(false);
        }
    }
}

/// A connection's stream.
pub(super) struct Wire {
    stream: TcpStream,
    limits: Limits,
    link: Rc<Link>,
    /// Where in a request it is; `None` behind the head.
    head: Option<Scan>,
    /// The next head, where it began before the request was answered.
    ahead: Option<Scan>,
    /// The last byte that was read, which may be half of a line's end.
    last: u8,
    /// When what is read is late.
    late: Option<Pin<Box<Sleep>>>,
    /// Whether that is only until something arrives.
    is_idle: bool,
    /// Set from when an answer had to wait.
    slow: Option<Slow>,
}

/// A client that answers have to wait for.
struct Slow {
    since: Instant,
    /// What the kernel has taken since.
    accepted: u64,
    /// When it took something at last; `None` while it takes nothing.
    freed: Option<Instant>,
    late: Pin<Box<Sleep>>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, limits: Limits) -> Self {
        let link = Rc::default();
        let head = Some(Scan::default());
        Self { stream, limits, link, head, ahead: None, last: 0, late: None, is_idle: false, slow: None }
    }

    pub(super) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Looks at what arrived.
    fn arrived(&mut self, bytes: &[u8]) -> Result<()> {
        let before = self.last;
        self.last = bytes.last().copied().unwrap_or(before);
        if self.link.body_is_read.get() {
            self.late = None;
            return Ok(());
        }
        if std::mem::take(&mut self.is_idle) {
            self.late = None;
        }
        let found = self.head.as_mut().map(|scan| scan.feed(before, bytes));
        match found {
            Some(Found::Part) => self.begin(self.limits.head),
            Some(Found::Whole(end)) => {
                self.head = None;
                self.late = None;
                self.link.body_was_read.set(false);
                self.look_ahead(b'\n', bytes.get(end..).unwrap_or_default());
            }
            Some(Found::BareLineFeed) => {
                // Proxies disagree on whether this ends a line, and so on where a request ends.
                return Err(Error::new(ErrorKind::InvalidData, "a line of the head ends without a CR"));
            }
            Some(Found::Other) => {
                self.head = None;
                self.late = None;
                self.begin(self.limits.unread);
            }
            None => {
                self.begin(self.limits.unread);
                self.look_ahead(before, bytes);
            }
        }
        Ok(())
    }

    /// Looks at what came behind a head, before its answer: further requests, the last of them perhaps in part, or a
    /// body.
    fn look_ahead(&mut self, mut before: u8, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut scan = self.ahead.take().unwrap_or_default();
            match scan.feed(before, bytes) {
                Found::Part => {
                    self.ahead = Some(scan);
                    return;
                }
                Found::Whole(end) => bytes = bytes.get(end..).unwrap_or_default(),
                Found::BareLineFeed | Found::Other => return,
            }
            before = b'\n';
        }
    }

    /// Sets the clock, unless it runs already.
    fn begin(&mut self, limit: Duration) {
        if self.late.is_none() {
            self.late = Some(Box::pin(sleep(limit)));
        }
    }

    /// An answer goes out, so what comes next is another request, which may have begun.
    fn answered(&mut self) {
        self.late = None;
        let ahead = self.ahead.take();
        if self.link.body_was_read.get() {
            self.head = Some(Scan::default());
            self.begin(self.limits.idle);
            self.is_idle = true;
            return;
        }
        let begun = ahead.or_else(|| self.head.take()).filter(Scan::is_within);
        if begun.is_some() {
            self.begin(self.limits.head);
        }
        self.head = Some(begun.unwrap_or_default());
    }

    /// An answer has to wait for its client: until when?
    fn poll_slow(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        let pace = self.limits.pace;
        // Who has kept up for as long as a pause may be is slow no more.
        if self.slow.as_ref().is_some_and(|slow| slow.freed.is_some_and(|at| at.elapsed() > pace.stall)) {
            self.slow = None;
        }
        let slow = self.slow.get_or_insert_with(|| Slow {
            since: Instant::now(),
            accepted: 0,
            freed: None,
            late: Box::pin(sleep(pace.allowed(0))),
        });
        slow.freed = None;
        loop {
            ready!(slow.late.as_mut().poll(context));
            // The kernel tells of room only once there is much of it: what it holds may have gone unseen.
            let unseen = SockRef::from(&self.stream).send_buffer_size().unwrap_or_default() as u64;
            let until = slow.since + pace.allowed(slow.accepted + unseen);
            if until <= Instant::now() {
                return Poll::Ready(cut(&self.stream));
            }
            slow.late.as_mut().reset(until);
        }
    }
}

/// Gives a connection up, with what the kernel still holds for it.
fn cut(stream: &TcpStream) -> Error {
    // It is closed without this, too, only later.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    ErrorKind::TimedOut.into()
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                Poll::Ready(if bytes.is_empty() { Ok(()) } else { this.arrived(bytes) })
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                if this.link.body_is_read.get() {
                    this.late = None;
                }
                if let Some(late) = &mut this.late {
                    ready!(late.as_mut().poll(context));
                    return Poll::Ready(Err(cut(&this.stream)));
                }
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(length)) => {
                this.answered();
                // Who reads may have looked before there was a clock: the same task is to hear of it.
                if let Some(late) = &mut this.late
                    && late.as_mut().poll(context).is_ready()
                {
                    context.waker().wake_by_ref();
                }
                if let Some(slow) = &mut this.slow {
                    slow.accepted += length as u64;
                    slow.freed.get_or_insert_with(Instant::now);
                }
                Poll::Ready(Ok(length))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                // For as long as the answer has to wait for its client, another clock runs.
                if this.head.is_some() {
                    this.late = None;
                }
                this.poll_slow(context).map(Err)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
