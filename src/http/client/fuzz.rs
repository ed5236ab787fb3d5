//! `Forwarded` and `X-Forwarded-For`: what a client writes into them, and a proxy adds to.

use actix_web::http::header::HeaderName;

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

const HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("forwarded"), HeaderName::from_static("x-forwarded-for")];

/// Whatever stands in them, the client is one of those that they name, or who asks; what a proxy adds to the well-formed
/// comes first, and what was there follows as it was; and a proxy that adds to nonsense is not contradicted by it.
#[test]
fn forwarded() {
    target("forwarded", 10_000, |text| {
        // What is longer than 4 KiB is not read.
        let text = &text[..text.len().min(4000)];
        let [Some(standard), Some(custom)] = HEADERS.map(|name| header(&name, text)) else { return };
        let hops = [forwarded::standard(&standard).unwrap(), forwarded::custom(&custom).unwrap().collect()];
        let elements = text.split(|byte| matches!(byte, b',' | b'\n')).count();
        assert!(hops[0].len() <= elements && hops[1].len() == elements);

        let proxies = Proxies::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let added: IpAddr = "192.0.2.9".parse().unwrap();
        for ((headers, hops), named) in
            [standard, custom].iter().zip(&hops).zip(["for=192.0.2.9", "192.0.2.9"])
        {
            let told = proxies.told(peer, headers);
            assert!(told == peer || hops.contains(&Some(told)));
            assert!(hops.iter().flatten().all(|hop| *hop == hop.to_canonical()));

            let name = headers.keys().next().unwrap();
            for parts in [&[text, b", ", named.as_bytes()], &[text, b"\n", named.as_bytes()]] {
                let headers = header(name, &parts.concat()).unwrap();
                let told = proxies.told(peer, &headers);
                assert!(told == added || hops.is_empty() && told == peer, "{told}");
                let now = match forwarded::standard(&headers) {
                    Some(hops) => hops,
                    None => forwarded::custom(&headers).unwrap().collect(),
                };
                if now.first() == Some(&Some(added)) {
                    assert_eq!(now[1..], hops[..]);
                }
            }
            // Written anew, they are the same.
            let spelt = hops.iter().rev().map(|hop| match hop {
                None => "unknown".to_owned(),
                Some(IpAddr::V4(v4)) => v4.to_string(),
                Some(IpAddr::V6(v6)) => format!("[{v6}]"),
            });
            let pair = |node: String| if name == HEADERS[0] { format!("for=\"{node}\"") } else { node };
            let anew = spelt.map(pair).collect::<Vec<_>>().join(", ");
            if let Some(headers) = header(name, anew.as_bytes()).filter(|_| anew.len() <= 4096) {
                let read: Vec<_> = match forwarded::standard(&headers) {
                    Some(hops) => hops,
                    None => forwarded::custom(&headers).unwrap().collect(),
                };
                assert_eq!(read, *hops);
            }
        }
    });
}
