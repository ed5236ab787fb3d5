//! The race of an eviction against a join.
//!
//! ```text
//! reader                                                cache
//! asks for a body
//! what it waited for is there: before it goes on, ────▶ forgets all
//! …
//! has the body: a piece is sent, ─────────────────────▶ forgets all
//! …
//! a write; asks for the body, made of the last one ───▶ forgets all
//! ```
//!
//! A join that held its segments by their keys would come to one that is not there any more: after the status line, in
//! the middle of a body. Here each is held before the first byte leaves, and what is kept of a body for the next one
//! (its outline) finds out by itself that a segment is gone.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;

use super::coding::tests::decoded;
use super::library::replica;
use super::*;
use crate::domain::movie_from_json;

const SEGMENTS: usize = 20;
/// A body that is not coded is in pieces.
const TITLE: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_forgets_at_each_step() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("marquee.db").display());
    let (catalogue, metrics) = replica(&url, 1 << 28).await;
    let mut movies: Vec<Bytes> = Vec::new();
    write(&catalogue, &mut movies, SEGMENTS * 256).await;
    let (mut steps, mut pieces) = (0, 0);
    for round in 0..3 {
        for form in Form::ALL {
            for coding in Coding::ALL {
                forget(&catalogue).await;
                let collection = {
                    let mut read = pin!(catalogue.collection(form, coding));
                    loop {
                        // Ends when the read has been woken, before it goes on.
                        let mut polled = false;
                        let step = poll_fn(|context| match std::mem::replace(&mut polled, true) {
                            true => Poll::Ready(None),
                            false => read.as_mut().poll(context).map(Some),
                        });
                        match step.await {
                            Some(collection) => break collection.unwrap(),
                            None => forget(&catalogue).await,
                        }
                        steps += 1;
                    }
                };
                let mut sent = Vec::new();
                for piece in pieces_of(collection) {
                    sent.extend_from_slice(&piece);
                    forget(&catalogue).await;
                    pieces += 1;
                }
                let expected = expected(&movies, form);
                assert!(decoded(&sent, coding) == expected, "round {round}, {form:?}, {coding:?}");
                // The next body of each is made of the one before.
                write(&catalogue, &mut movies, 1).await;
            }
        }
    }
    // That it did forget: with a cache that does not, nothing is read twice, and so nothing is waited for.
    let read = metrics.segments_read.get();
    assert!(steps > 18 && pieces > 6 * SEGMENTS && read > 18 * SEGMENTS as u64, "{steps}, {pieces}, {read}");
}

async fn forget(catalogue: &Catalogue) {
    let shared = &catalogue.0.shared;
    let manifest = shared.published.load().unwrap();
    shared.cache.remove(&manifest.filled().collect::<Vec<_>>()).await;
}

fn pieces_of(collection: Collection) -> Vec<Bytes> {
    match collection.body {
        Body::Whole(bytes) => vec![bytes],
        Body::Pieces(pieces) => pieces.collect(),
        Body::File(_) => panic!("there was no room for one body"),
    }
}

async fn write(catalogue: &Catalogue, movies: &mut Vec<Bytes>, count: usize) {
    let more: Vec<NewMovie> = (movies.len()..movies.len() + count)
        .map(|n| movie_from_json(format!(r#"{{"title":"{n:0>TITLE$}"}}"#).as_bytes()).unwrap())
        .collect();
    let wrote = catalogue.create(more, None).await.unwrap();
    movies.extend(wrote.movies.into_iter().map(|movie| movie.json));
}

fn expected(movies: &[Bytes], form: Form) -> Vec<u8> {
    match form {
        Form::Array => [b"[", &movies.join(&b","[..])[..], b"]"].concat(),
        Form::Lines => [&movies.join(&b"\n"[..])[..], b"\n"].concat(),
    }
}
