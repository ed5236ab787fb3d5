//! The least that actix can do: ready bytes, a content type, and, where they are given, the other headers of
//! marquee's answers, which the load generator must read as well.

use std::path::Path;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

/// Serves `identity`, `gzip` and `zstd` of a directory, with the headers in the file `heads`; on as many threads as
/// MARQUEE_WORKERS says, or as marquee would take.
#[actix_web::main]
pub(crate) async fn serve(directory: &Path, heads: &Path) {
    let heads = std::fs::read_to_string(heads).unwrap_or_default();
    let heads: Vec<(HeaderName, HeaderValue)> = heads
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    let [identity, gzip, zstd] = ["identity", "gzip", "zstd"]
        .map(|name| web::Bytes::from(std::fs::read(directory.join(name)).unwrap()));
    let workers = std::env::var("MARQUEE_WORKERS").ok().and_then(|workers| workers.parse().ok());
    let workers = workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let server = HttpServer::new(move || {
        let (identity, gzip, zstd, heads) = (identity.clone(), gzip.clone(), zstd.clone(), heads.clone());
        App::new().route(
            "/v1/movies",
            web::get().to(move |request: HttpRequest| {
                let headers = request.headers();
                let json = || {
                    let mut response = HttpResponse::Ok();
                    response.insert_header((header::CONTENT_TYPE, "application/json"));
                    response
                };
                let mut response = if headers.contains_key(header::IF_NONE_MATCH) {
                    HttpResponse::NotModified().finish()
                } else {
                    match headers.get(header::ACCEPT_ENCODING) {
                        None => json().body(identity.clone()),
                        Some(coding) if coding == "gzip" => {
                            json().insert_header((header::CONTENT_ENCODING, "gzip")).body(gzip.clone())
                        }
                        Some(_) => {
                            json().insert_header((header::CONTENT_ENCODING, "zstd")).body(zstd.clone())
                        }
                    }
                };
                for (name, value) in &heads {
                    response.headers_mut().insert(name.clone(), value.clone());
                }
                std::future::ready(response)
            }),
        )
    });
    let server = server.workers(workers).bind("127.0.0.1:0").unwrap();
    println!("http://{}", server.addrs()[0]);
    server.run().await.unwrap();
}
