//! The race of an eviction against a join.
//!
//! ```text
//! reader                                             cache, which has room for two of six bodies
//! asks for a body: a step ─────────────────────────▶ forgets what it is made of: the five others are asked for
//!                  a step ─────────────────────────▶ forgets
//! has the body:    a piece is sent ────────────────▶ forgets
//!                  a piece is sent ────────────────▶ forgets
//! a write; asks for the body, made of the last one ▶ forgets
//! ```
//!
//! A join that held its segments by their keys would come to one that is not there any more: after the status line, in
//! the middle of a body. Here each is held before the first byte leaves, and what is kept of a body for the next one
//! (its outline) finds out by itself that a segment is gone.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use futures_util::poll;
use marquee::catalogue::{Body, Catalogue, Coding, Collection, Form};
use marquee::domain::{NewMovie, movie_from_json};
use support::replica;

const SEGMENTS: usize = 20;
/// A body in pieces, and not in one.
const TITLE: usize = 250;
/// Room for a body and what it is made of, and for little else.
const ROOM: u64 = 5 << 20;

on_every_database! {
    async fn a_cache_that_forgets_at_each_step(db) {
        let (writer, _) = replica(db.url(), 1 << 28).await;
        let mut movies: Vec<Bytes> = Vec::new();
        write(&writer, &mut movies, SEGMENTS * 256).await;
        let (catalogue, metrics) = replica(db.url(), ROOM).await;
        let (mut steps, mut pieces) = (0, 0);
        for round in 0..2 {
            for (form, coding) in bodies() {
                let collection = {
                    let mut read = pin!(catalogue.collection(form, coding));
                    loop {
                        match poll!(read.as_mut()) {
                            Poll::Ready(collection) => break collection.unwrap(),
                            Poll::Pending => forget(&catalogue, (form, coding), &mut steps).await,
                        }
                    }
                };
                let mut sent = Vec::new();
                for piece in pieces_of(collection) {
                    sent.extend_from_slice(&piece);
                    forget(&catalogue, (form, coding), &mut pieces).await;
                }
                assert!(decoded(&sent, coding) == expected(&movies, form), "round {round}, {form:?}, {coding:?}");
                // The next body of each is made of the one before.
                write(&catalogue, &mut movies, 1).await;
            }
        }
        assert!(steps > 12 && pieces > 4 * SEGMENTS, "{steps} steps, {pieces} pieces");
        // That it did forget: with room for all, each segment is read once.
        assert!(metrics.segments_read.get() > 10 * SEGMENTS as u64, "{}", metrics.segments_read.get());
    }
}

fn bodies() -> impl Iterator<Item = (Form, Coding)> {
    Form::ALL.into_iter().flat_map(|form| Coding::ALL.map(|coding| (form, coding)))
}

/// Asks for one of the other bodies, another one each time, until the cache has done what it does when it is full.
async fn forget(catalogue: &Catalogue, body: (Form, Coding), times: &mut usize) {
    let (form, coding) = bodies().filter(|other| *other != body).nth(*times % 5).unwrap();
    *times += 1;
    catalogue.collection(form, coding).await.unwrap();
    catalogue.gauge().await;
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

fn decoded(bytes: &[u8], coding: Coding) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        Coding::Identity => return bytes.to_vec(),
        Coding::Gzip => std::io::copy(&mut flate2::read::GzDecoder::new(bytes), &mut plain).unwrap(),
        Coding::Zstd => {
            std::io::copy(&mut zstd::stream::read::Decoder::new(bytes).unwrap(), &mut plain).unwrap()
        }
    };
    plain
}
