//! Bodies that leave piece by piece. Their length is known, so a client can tell a broken one.

use std::future::Future;
use std::io::Result;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::task::JoinHandle;
use bytes::Bytes;

use crate::catalogue::{Pieces, SpooledBody};

/// How much is read of a file at a time.
const CHUNK: u64 = 256 << 10;

/// A body whose pieces are in memory.
pub(super) struct InPieces(pub(super) Pieces);

impl MessageBody for InPieces {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.total_len())
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Bytes, Self::Error>>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

/// A body in a file: read at its own pace, off the threads that serve.
pub(super) struct FromFile {
    body: SpooledBody,
    at: u64,
    reading: Option<JoinHandle<Result<Bytes>>>,
}

impl FromFile {
    pub(super) fn new(body: SpooledBody) -> Self {
        Self { body, at: 0, reading: None }
    }
}

fn read(body: &SpooledBody, at: u64) -> Result<Bytes> {
    let length = usize::try_from(CHUNK.min(body.total_len() - at)).unwrap_or_default();
    let mut chunk = vec![0; length];
    body.file().read_exact_at(&mut chunk, at)?;
    Ok(chunk.into())
}

impl MessageBody for FromFile {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.body.total_len())
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if self.reading.is_none() {
            if self.at >= self.body.total_len() {
                return Poll::Ready(None);
            }
            let (body, at) = (self.body.clone(), self.at);
            self.reading = Some(actix_web::rt::task::spawn_blocking(move || read(&body, at)));
        }
        let Some(reading) = self.reading.as_mut() else {
            return Poll::Ready(None);
        };
        let read = std::task::ready!(Pin::new(reading).poll(context))
            .unwrap_or_else(|e| Err(std::io::Error::other(e)));
        self.reading = None;
        if let Ok(chunk) = &read {
            self.at += chunk.len() as u64;
        }
        Poll::Ready(Some(read))
    }
}
