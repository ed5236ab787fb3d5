//! Who asks.

mod forwarded;
#[cfg(test)]
mod fuzz;

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// The most proxies that are followed back.
const MOST_HOPS: usize = 16;

/// The proxies that are believed when they say for whom they ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(super) fn new(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// The address of the client: the one place that knows it, for the access log, the rate limit and whoever
    /// else asks.
    ///
    /// Each proxy adds, at the right, the address that it was asked from. So the list is followed from the
    /// right for as long as it is proxies of ours that speak, and the first address that is none of theirs is
    /// the client's: what stands left of it was written by the client. Where the list cannot be read, it is
    /// the last address that is known to be true.
    pub(super) fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        Some(if self.trusts(peer) { self.told(peer, request.headers()) } else { peer })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who it is by what a trusted peer's headers say. A proxy that adds to one of the two headers lets the
    /// other through as the client sent it: where both are there and disagree, neither is believed.
    fn told(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let by_standard = forwarded::standard(headers).map(|hops| self.farthest(peer, hops));
        let by_custom = forwarded::custom(headers).map(|hops| self.farthest(peer, hops));
        match (by_standard, by_custom) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(told), _) | (None, Some(told)) => told,
            (None, None) => peer,
        }
    }

    /// Follows the hops, the nearest first.
    fn farthest(&self, peer: IpAddr, hops: impl IntoIterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut known = peer;
        for hop in hops.into_iter().take(MOST_HOPS) {
            let Some(address) = hop else {
                return known;
            };
            known = address;
            if !self.trusts(address) {
                return known;
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// Who it is taken to be, behind the proxies 10.0.0.0/8 and 2001:db8::1.
    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let proxies = Proxies::new(&["10.0.0.0/8".parse().unwrap(), "2001:db8::1/128".parse().unwrap()]);
        let mut request = TestRequest::default().peer_addr((peer.parse::<IpAddr>().unwrap(), 1).into());
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        proxies.client(&request.to_http_request()).unwrap().to_string()
    }

    const FORWARDED: &str = "Forwarded";
    const X_FORWARDED_FOR: &str = "X-Forwarded-For";

    #[test]
    fn who_is_no_proxy_of_ours_is_not_believed() {
        for header in [(X_FORWARDED_FOR, "192.0.2.1"), (FORWARDED, "for=192.0.2.1")] {
            assert_eq!(client("203.0.113.9", &[header]), "203.0.113.9");
            assert_eq!(client("2001:db8::2", &[header]), "2001:db8::2");
        }
    }

    #[test]
    fn a_proxy_tells_for_whom_it_asks() {
        for peer in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"] {
            assert_eq!(client(peer, &[(X_FORWARDED_FOR, "192.0.2.1")]), "192.0.2.1");
            assert_eq!(client(peer, &[(FORWARDED, "for=192.0.2.1;proto=https")]), "192.0.2.1");
        }
        assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, "192.0.2.1, 10.0.0.3, 10.0.0.2")]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &[(FORWARDED, "for=192.0.2.1, For=10.0.0.2")]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, "::ffff:192.0.2.1")]), "192.0.2.1");
        // Lines of one header are one list.
        assert_eq!(
            client("10.0.0.1", &[(X_FORWARDED_FOR, "192.0.2.1"), (X_FORWARDED_FOR, "10.0.0.2")]),
            "192.0.2.1"
        );
        // Who asks from within has no address but a proxy's.
        assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, "10.0.0.7")]), "10.0.0.7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_the_client_wrote_is_not_believed() {
        // It stands left of what the proxy added, whatever it is.
        for forged in ["198.51.100.1", "10.0.0.9", "10.0.0.9, 10.0.0.8", "unknown", "'; --", "", ",,,"] {
            let list = format!("{forged}, 192.0.2.1");
            assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, &list)]), "192.0.2.1", "{forged}");
        }
        assert_eq!(
            client("10.0.0.1", &[(FORWARDED, "for=198.51.100.1, for=10.0.0.9, for=192.0.2.1")]),
            "192.0.2.1"
        );
        // A quote that the client leaves open takes the proxy's addition with it.
        assert_eq!(client("10.0.0.1", &[(FORWARDED, "for=\"198.51.100.1, for=192.0.2.1")]), "10.0.0.1");
        // The header that the proxy does not know of.
        let both = [(X_FORWARDED_FOR, "192.0.2.1"), (FORWARDED, "for=198.51.100.1")];
        assert_eq!(client("10.0.0.1", &both), "10.0.0.1");
        let agreed = [(X_FORWARDED_FOR, "192.0.2.1"), (FORWARDED, "for=192.0.2.1")];
        assert_eq!(client("10.0.0.1", &agreed), "192.0.2.1");
    }

    #[test]
    fn what_cannot_be_read_is_the_last_address_that_is_true() {
        for value in ["", "unknown", "_hidden", "1.2.3", "192.0.2.1:x", "[192.0.2.1", "[::1", "a b", "é"] {
            assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, value)]), "10.0.0.1", "{value}");
            let near = format!("{value}, 10.0.0.2");
            assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, &near)]), "10.0.0.2", "{value}");
        }
        let endless = vec!["10.0.0.2"; 20_000].join(",");
        assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, &format!("192.0.2.1,{endless}"))]), "10.0.0.2");
    }
}
