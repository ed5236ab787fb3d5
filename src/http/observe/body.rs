//! Bodies whose end is worth a line in the access log.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

use super::access::Line;

/// Logs the answer that `body` belongs to: at once where all of it is handed over at once, else when its last
/// piece was taken, or it was given up.
pub(super) fn logged(body: BoxBody, line: Line) -> BoxBody {
    if line.is_of_head() {
        line.write(0, false);
        return body;
    }
    match body.try_into_bytes() {
        Ok(bytes) => {
            line.write(bytes.len() as u64, false);
            BoxBody::new(bytes)
        }
        Err(body) => BoxBody::new(InPieces { body, line, taken: 0, ended: false }),
    }
}

struct InPieces {
    body: BoxBody,
    line: Line,
    taken: u64,
    ended: bool,
}

impl MessageBody for InPieces {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let piece = ready!(self.body.as_pin_mut().poll_next(cx));
        match &piece {
            Some(Ok(bytes)) => self.taken += bytes.len() as u64,
            Some(Err(_)) => {}
            None => self.ended = true,
        }
        Poll::Ready(piece)
    }
}

impl Drop for InPieces {
    fn drop(&mut self) {
        // Who was told the length may not have asked for the end.
        let whole = self.ended || self.body.size() == BodySize::Sized(self.taken);
        self.line.write(self.taken, !whole);
    }
}
