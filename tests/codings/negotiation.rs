//! What clients say of codings, drawn at random, and what they are answered.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::decoders::decoded;
use super::{TestDatabase, grow, off};

const CASES: usize = 400;
/// What makes no sense, or names what there is not: it changes nothing.
const NOISE: &[&[u8]] =
    &[b"", b" ", b";", b"br", b"deflate;q=1", b"gzip;q=2", b"zstd;q=x", b"identity;q=", b"\xff\xfe", b"*/*"];

/// What a header that names each of `identity`, `gzip`, `zstd` and `*` at most once comes to, by RFC 9110, section
/// 12.5.3: the codings that are wanted most, in hundredths.
fn wanted(weights: [Option<u32>; 4]) -> Vec<&'static str> {
    let [identity, gzip, zstd, any] = weights;
    // What is not coded is acceptable, if least, where nothing is said of it.
    let of = [
        ("identity", identity.or(any).map_or(1, |q| q * 10)),
        ("gzip", gzip.or(any).unwrap_or(0) * 10),
        ("zstd", zstd.or(any).unwrap_or(0) * 10),
    ];
    let most = of.iter().map(|(_, q)| *q).max().unwrap_or(0);
    of.iter().filter(|(_, q)| *q > 0 && *q == most).map(|(name, _)| *name).collect()
}

fn draw<T: Copy>(of: &[T]) -> T {
    of[rand::random_range(0..of.len())]
}

/// What is drawn: the lines of a header, the codings that it wants most, and whether it refuses what is not coded.
struct Drawn {
    lines: Vec<Vec<u8>>,
    wanted: Vec<&'static str>,
    refuses_identity: bool,
}

fn header() -> Drawn {
    let weights: [Option<u32>; 4] =
        std::array::from_fn(|_| draw(&[None, None, Some(0), Some(50), Some(50), Some(100)]));
    let mut items: Vec<Vec<u8>> = Vec::new();
    for (name, weight) in ["identity", "gzip", "zstd", "*"].iter().zip(weights) {
        let Some(weight) = weight else { continue };
        let name = if rand::random() { name.to_uppercase() } else { (*name).to_owned() };
        let blank = draw(&["", " ", "\t"]);
        items.push(match weight {
            100 => draw(
                &[format!("{name}{blank}"), format!("{name};{blank}q=1.0"), format!("{name};level=3")]
                    .each_ref(),
            )
            .clone()
            .into_bytes(),
            _ => format!("{blank}{name};{blank}q=0.{weight:02}").into_bytes(),
        });
    }
    for _ in 0..rand::random_range(0..3) {
        items.insert(rand::random_range(0..=items.len()), draw(NOISE).to_vec());
    }
    if rand::random() {
        items.reverse();
    }
    // A header that is repeated says what its lines say together.
    let second =
        items.split_off(if rand::random() { items.len() } else { rand::random_range(0..=items.len()) });
    let mut lines = vec![items.join(&b","[..])];
    lines.extend((!second.is_empty()).then(|| second.join(&b","[..])));
    Drawn { lines, wanted: wanted(weights), refuses_identity: weights[0].or(weights[3]) == Some(0) }
}

/// The coding that a client wants most is the one that it gets, and it is the same content; 406 exactly when it
/// takes none.
#[tokio::test(flavor = "multi_thread")]
async fn clients_get_what_they_want_most() {
    let db = TestDatabase::sqlite().await;
    let marquee = off(&db).start().await;
    marquee.wait_ready().await;
    grow(&marquee, 300).await;
    let created = marquee.post("/v1/genres", &json!({ "name": "Western" })).await;
    assert_eq!(created.status(), 201);
    let mut refused = 0;
    let (mut repeated, mut refusing) = (0, 0);
    for path in ["/v1/movies", "/v1/movies?sort=-title&limit=200", "/v1/movies/7", "/v1/genres"] {
        let plain = marquee.get(path).await.bytes().await.unwrap();
        for _ in 0..CASES {
            let Drawn { lines, wanted, refuses_identity } = header();
            let told = String::from_utf8_lossy(&lines.join(&b" | "[..])).into_owned();
            let mut request = marquee.request(Method::GET, path);
            for line in &lines {
                request = request.header("accept-encoding", HeaderValue::from_bytes(line).unwrap());
            }
            repeated += usize::from(lines.len() > 1);
            refusing += usize::from(refuses_identity && !wanted.is_empty());
            let answer = request.send().await.unwrap();
            if wanted.is_empty() {
                assert_eq!(answer.status(), StatusCode::NOT_ACCEPTABLE, "{path} {told:?}");
                refused += 1;
                continue;
            }
            assert_eq!(answer.status(), StatusCode::OK, "{path} {told:?}");
            let coding = answer.headers().get("content-encoding").map_or("identity", |c| c.to_str().unwrap());
            // What is small is sent as it is to all who take that.
            let as_it_is = !path.starts_with("/v1/movies?")
                && path != "/v1/movies"
                && coding == "identity"
                && !refuses_identity;
            assert!(as_it_is || wanted.contains(&coding), "{path} {told:?}: {coding}");
            let coding = coding.to_owned();
            assert!(decoded(&answer.bytes().await.unwrap(), &coding) == plain, "{path} {told:?}: {coding}");
        }
    }
    for (what, many) in
        [("refusals", refused), ("repeated headers", repeated), ("codings at any price", refusing)]
    {
        assert!(many > CASES / 20, "{many} {what} are too few to prove anything");
    }
}
