//! The parts that a read and a write are made of: encode, join, cache hit, write batch.
//!
//! `cargo bench --bench parts`
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may stop")]

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use marquee::catalogue::{Body, Catalogue, Coding, EncodedSegment, Form, Numbered, Outline};
use marquee::domain::{Movie, NewMovie, movie_from_json};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn new_movie(n: u64) -> NewMovie {
    let json = format!(
        r#"{{"title":"The {n}th of Its Kind","year":{},"directors":["Director {}"],"genres":["Drama","Genre {}"],"rating":7.{},"votes":{n}}}"#,
        1900 + n % 120,
        n % 400,
        n % 20,
        n % 10
    );
    movie_from_json(json.as_bytes()).unwrap()
}

fn movie(id: u64) -> Movie {
    new_movie(id).first(id, Timestamp::UNIX_EPOCH)
}

fn encode(criterion: &mut Criterion) {
    let movies: Vec<Movie> = (0..256).map(movie).collect();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(256));
    group.bench_function("one segment", |b| b.iter(|| EncodedSegment::encode(black_box(&movies))));
    let array = EncodedSegment::encode(&movies);
    for form in Form::ALL {
        for coding in Coding::ALL {
            let name = format!("{form:?} {}", coding.name());
            group.bench_function(name, |b| b.iter(|| black_box(&array).to(form, coding)));
        }
    }
    group.finish();
}

fn join(criterion: &mut Criterion) {
    for segments in [13, 230, 3907] {
        let segments: Vec<Arc<EncodedSegment>> = (0..segments)
            .map(|n| {
                Arc::new(EncodedSegment::encode(&(n * 256..(n + 1) * 256).map(movie).collect::<Vec<_>>()))
            })
            .collect();
        let mut group = criterion.benchmark_group(format!("join {} segments", segments.len()));
        for coding in Coding::ALL {
            let segments: Vec<Numbered> = (0..)
                .zip(&segments)
                .map(|(number, segment)| (number, Arc::new(segment.to(Form::Array, coding))))
                .collect();
            group.bench_function(coding.name(), |b| {
                b.iter(|| Outline::of(Form::Array, coding, &segments).pieces().unwrap().concat());
            });
            let changed = [(0, segments.last().map(|(_, last)| Arc::clone(last)))];
            let outline = Outline::of(Form::Array, coding, &segments);
            group.bench_function(format!("{}, one changed", coding.name()), |b| {
                b.iter(|| outline.with(&changed).unwrap().pieces().unwrap());
            });
        }
        group.finish();
    }
}

/// A catalogue over a SQLite file of its own, with `count` movies.
fn catalogue(runtime: &Runtime, directory: &Path, count: u64) -> Catalogue {
    let catalogue = support::catalogue(runtime, directory);
    runtime.block_on(async {
        for first in (0..count).step_by(10_000) {
            catalogue
                .create((first..count.min(first + 10_000)).map(new_movie).collect(), None)
                .await
                .unwrap();
        }
    });
    catalogue
}

fn hit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for count in [246, 3201, 58_788] {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = catalogue(&runtime, directory.path(), count);
        let mut group = criterion.benchmark_group(format!("hit {count} movies"));
        for coding in Coding::ALL {
            group.bench_function(coding.name(), |b| {
                b.to_async(&runtime).iter(|| async {
                    match catalogue.collection(Form::Array, coding).await.unwrap().body {
                        Body::Whole(bytes) => bytes.len() as u64,
                        Body::Pieces(pieces) => pieces.total_len(),
                        Body::File(_) => panic!("the cache is large enough"),
                    }
                });
            });
        }
        group.bench_function("one movie", |b| b.to_async(&runtime).iter(|| catalogue.movie(black_box(77))));
        group.finish();
    }
}

fn write(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let catalogue = catalogue(&runtime, directory.path(), 1000);
    let mut group = criterion.benchmark_group("write to SQLite");
    group.sample_size(20);
    for clients in [1, 64] {
        group.throughput(Throughput::Elements(clients));
        group.bench_function(format!("{clients} clients"), |b| {
            b.to_async(&runtime).iter(|| async {
                let writes = (0..clients).map(|n| catalogue.create(vec![new_movie(n)], None));
                futures_util::future::try_join_all(writes).await.unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode, join, hit, write);
criterion_main!(benches);
