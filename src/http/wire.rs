//! A connection's stream, which keeps the time of what its client does.
//!
//! actix-http limits the time of a request's head on a new connection alone, lets the rest of a body that
//! nobody reads come as slowly as it likes, and an answer leave so. Here is what it leaves open:
//!
//! - a head on a connection that is kept alive has `MARQUEE_HEADER_TIMEOUT_MS` from its first byte, or from the
//!   answer to the request before it, if it began earlier;
//! - a connection that nothing is asked on is kept for `MARQUEE_KEEP_ALIVE_MS`. actix-http can do that, with a timer that
//!   it makes and drops for each request: here a connection has one, which is moved on when it comes;
//! - bytes that are neither a head nor of a request that the application has may come for as long as a request may take;
//! - an answer must be read at `MARQUEE_MIN_RATE`, once it has had to wait; that it makes progress at all is
//!   the kernel's to see (`limits::on_connect`).
//!
//! Whoever is late is cut off; who is idle is told the end. No timer runs for a head that comes in one piece, nor for an answer that does
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
    /// From an answer to the first byte of the next head.
    pub(super) keep_alive: Duration,
    /// What is no head, and behind no request that the application has: the rest of a body, from the answer in front of it on.
    pub(super) unread: Duration,
    /// The reading of answers.
    pub(super) pace: Pace,
}

/// What the application and the connection that its requests come on tell each other.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// How many requests the application has.
    under_way: Cell<usize>,
    body_is_read: Cell<bool>,
    /// Whether a body was read to its end since an answer last went out.
    body_was_read: Cell<bool>,
    /// Whether the newest request has a body that is not read to its end.
    has_rest: Cell<bool>,
    /// How many bytes came in one piece with the newest head, behind it, where they are the last that came.
    behind: Cell<Option<usize>>,
    /// As `behind`, of the newest request that the application has.
    with_head: Cell<Option<usize>>,
}

impl Link {
    /// The application has the next request, until what is returned is dropped: to be called for each, since what came
    /// behind a head is of the first that follows.
    pub(super) fn begins(self: &Rc<Self>, has_body: bool) -> UnderWay {
        self.under_way.set(self.under_way.get() + 1);
        self.with_head.set(self.behind.take());
        self.has_rest.set(has_body);
        UnderWay(Rc::clone(self))
    }

    /// Whether the newest request's body, of the length that its head tells, came with its head, so that nothing of it is
    /// waited for: actix-http hands it out before it reads on. It is to be read then, and counts as read.
    pub(super) fn came_whole(&self, length: u64) -> bool {
        let is_whole = self.with_head.take().is_some_and(|bytes| bytes as u64 == length);
        if is_whole {
            self.ends();
        }
        is_whole
    }

    /// The newest request's body has been read to its end.
    pub(super) fn ends(&self) {
        self.has_rest.set(false);
        self.body_was_read.set(true);
    }
}

/// A request that the application has.
pub(super) struct UnderWay(Rc<Link>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get().saturating_sub(1));
    }
}

/// For as long as it is there, what arrives is a body, and whoever reads it keeps its time.
pub(super) struct Reading(Option<Rc<Link>>);

impl Reading {
    pub(super) fn on(link: Option<&Rc<Link>>) -> Self {
        let link = link.cloned();
        if let Some(link) = &link {
            link.body_is_read.set(true);
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
    /// Where in a head it is; `None` behind it.
    head: Option<Scan>,
    /// Whether what comes is the rest of a body, and none of it looked at, until the next answer.
    skips: bool,
    /// The next head, where it began before the request was answered.
    ahead: Option<Scan>,
    /// The last byte that was read, which may be half of a line's end.
    last: u8,
    /// When what is read is late.
    late: Option<Pin<Box<Sleep>>>,
    /// Since when nothing has been asked.
    idle: Option<Instant>,
    /// Comes when that may have been for too long.
    idle_timer: Option<Pin<Box<Sleep>>>,
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
        let (skips, last) = (false, 0);
        let (ahead, late, idle, idle_timer, slow) = (None, None, None, None, None);
        Self { stream, limits, link, head, skips, ahead, last, late, idle, idle_timer, slow }
    }

    pub(super) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Looks at what arrived.
    fn arrived(&mut self, bytes: &[u8]) -> Result<()> {
        let before = self.last;
        self.last = bytes.last().copied().unwrap_or(before);
        self.idle = None;
        if self.link.body_is_read.get() {
            self.late = None;
            return Ok(());
        }
        // What comes now is behind its head, whether that was seen or not.
        if self.link.under_way.get() > 0 {
            self.head = None;
        }
        let found = self.head.as_mut().map(|scan| scan.feed(before, bytes));
        match found {
            Some(Found::Part) => self.begin(self.limits.head),
            Some(Found::Whole(end)) => {
                self.head = None;
                self.late = None;
                let behind = bytes.get(end..).unwrap_or_default();
                self.link.behind.set(Some(behind.len()));
                self.look_ahead(b'\n', behind);
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
                self.link.behind.set(None);
                if !self.skips {
                    self.look_ahead(before, bytes);
                }
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
        self.idle = None;
        let (ahead, head) = (self.ahead.take(), self.head.take());
        // actix-http reads a body to its end that nobody else does, if it keeps the connection.
        self.skips = self.link.has_rest.get();
        if self.skips {
            self.begin(self.limits.unread);
            return;
        }
        // How much of the last piece of a body was the body, and how much the next head, only actix-http knows: such a head
        // has the time of one that has not begun.
        let is_unknown = self.link.body_was_read.take();
        let begun = ahead.or(head).filter(|scan| scan.is_within() && !is_unknown);
        if begun.is_some() {
            self.begin(self.limits.head);
        } else {
            self.idle = Some(Instant::now());
        }
        self.head = Some(begun.unwrap_or_default());
    }

    /// Comes when nothing was asked for too long, and nothing is.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (Some(since), 0) = (self.idle, self.link.under_way.get()) else {
            return Poll::Pending;
        };
        let keep_alive = self.limits.keep_alive;
        let timer = self.idle_timer.get_or_insert_with(|| Box::pin(sleep(keep_alive)));
        loop {
            ready!(timer.as_mut().poll(context));
            let until = since + keep_alive;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
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
                // The application has its own limits, and an answer that waits for its client its own clock.
                let waits = this.slow.as_ref().is_some_and(|slow| slow.freed.is_none());
                if waits || this.link.under_way.get() > 0 {
                    this.late = None;
                }
                if let Some(late) = &mut this.late {
                    ready!(late.as_mut().poll(context));
                    // The answer in front of such a rest may not have been read to its end yet.
                    return Poll::Ready(if this.skips { Ok(()) } else { Err(cut(&this.stream)) });
                }
                // As if the client had closed its half: an answer that pauses for so long still goes out.
                this.poll_idle(context).map(Ok)
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
                let late = this.late.as_mut().is_some_and(|late| late.as_mut().poll(context).is_ready());
                if late || this.poll_idle(context).is_ready() {
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
                this.late = None;
                this.idle = None;
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
