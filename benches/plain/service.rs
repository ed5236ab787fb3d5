//! The handlers, and the cache with its one key.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::{self, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use diesel::result::{DatabaseErrorKind, Error};
use flate2::Compression;
use flate2::write::GzEncoder;
use moka::future::Cache;

use crate::database::Database;
use crate::model::NewMovie;

/// The whole collection as it goes out.
struct Collection {
    tag: HeaderValue,
    bytes: web::Bytes,
}

#[derive(Clone)]
struct Service {
    database: Database,
    cache: Cache<(), Arc<Collection>>,
    /// How often the whole collection was read.
    loads: Arc<AtomicU64>,
}

pub(crate) async fn serve(database: Database) {
    let service = Service { database, cache: Cache::new(1), loads: Arc::default() };
    let workers = std::env::var("MARQUEE_WORKERS").ok().and_then(|workers| workers.parse().ok());
    let workers = workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .app_data(web::JsonConfig::default().limit(8 << 20))
            .route("/v1/movies", web::get().to(all))
            .route("/v1/movies", web::post().to(create))
            .route("/v1/movies/{id}", web::delete().to(delete))
            .route("/metrics", web::get().to(metrics))
    });
    let server = server.workers(workers).bind("127.0.0.1:0").unwrap();
    println!("http://{}", server.addrs().first().unwrap());
    server.run().await.unwrap();
}

async fn all(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    let collection = match service.cache.try_get_with((), load(&service)).await {
        Ok(collection) => collection,
        Err(error) => return failed(&error),
    };
    let headers = request.headers();
    if headers.get(header::IF_NONE_MATCH) == Some(&collection.tag) {
        return HttpResponse::NotModified().insert_header((header::ETAG, collection.tag.clone())).finish();
    }
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::ETAG, collection.tag.clone()))
        .insert_header((header::VARY, "accept-encoding"));
    let coding = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    if coding.is_some_and(|coding| coding.contains("gzip")) {
        // As actix's Compress does it, level and thread included. Compress itself is a feature of actix-web, and
        // features are of the whole package: marquee would be built with it, too.
        let packed = web::block(move || gzipped(&collection.bytes)).await.unwrap();
        return response.insert_header((header::CONTENT_ENCODING, "gzip")).body(packed);
    }
    response.body(collection.bytes.clone())
}

async fn create(service: web::Data<Service>, movie: web::Json<NewMovie>) -> HttpResponse {
    match service.database.create(&movie).await {
        Ok(movie) => {
            service.cache.invalidate(&()).await;
            HttpResponse::Created()
                .insert_header((header::LOCATION, format!("/v1/movies/{}", movie.id)))
                .json(movie)
        }
        Err(error) => failed(&error),
    }
}

async fn delete(service: web::Data<Service>, id: web::Path<i64>) -> HttpResponse {
    match service.database.delete(*id).await {
        Ok(true) => {
            service.cache.invalidate(&()).await;
            HttpResponse::NoContent().finish()
        }
        Ok(false) => HttpResponse::NotFound().finish(),
        Err(error) => failed(&error),
    }
}

async fn metrics(service: web::Data<Service>) -> String {
    format!("plain_loads_total {}\n", service.loads.load(Ordering::Relaxed))
}

async fn load(service: &Service) -> Result<Arc<Collection>, Error> {
    service.loads.fetch_add(1, Ordering::Relaxed);
    let movies = service.database.all().await?;
    // Some tens of milliseconds for large collections: not on the worker's thread.
    let bytes = web::block(move || serde_json::to_vec(&movies).unwrap()).await.unwrap();
    let tag = HeaderValue::from_str(&format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(&bytes))).unwrap();
    Ok(Arc::new(Collection { tag, bytes: bytes.into() }))
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn failed(error: &Error) -> HttpResponse {
    match error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => HttpResponse::Conflict().finish(),
        error => HttpResponse::InternalServerError().body(error.to_string()),
    }
}
