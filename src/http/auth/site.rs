//! While everybody on this machine may write, whose requests those are: browsers send what pages of other sites
//! tell them to.
//!
//! - A name that an attacker's server resolves to a loopback address makes his page one of marquee's own (DNS
//!   rebinding). His name is in `Host`, so a write must be sent to `localhost` or to an address.
//! - A page of another site can send some requests without asking (a form, a fetch without CORS). Browsers name
//!   that site in `Origin`, and tell how it stands to this one in `Sec-Fetch-Site`.
//!
//! With tokens there is nothing to guard: a browser adds no `Authorization` by itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::http::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// That a write comes from a program, from a page that marquee itself served, or from one of the sites that its
/// operator has `named`.
///
/// # Errors
/// 403 otherwise.
pub(super) fn check(headers: &HeaderMap, named: &[String]) -> Result<(), Problem> {
    let text = |name: &HeaderName| headers.get_all(name).map(|value| value.to_str().unwrap_or_default());
    if !text(&header::HOST).all(is_of_this_machine) {
        return Err(Problem::another_site("send it to localhost or to an IP address"));
    }
    let mut origins = text(&header::ORIGIN);
    if let (Some(origin), None) = (origins.next(), origins.next())
        && named.iter().any(|named| named == origin)
    {
        return Ok(());
    }
    let is_cross_site = text(&SEC_FETCH_SITE).any(|site| site.eq_ignore_ascii_case("cross-site"));
    let host = text(&header::HOST).next().unwrap_or_default();
    if is_cross_site || !text(&header::ORIGIN).all(|origin| is_origin_of(origin, host)) {
        return Err(Problem::another_site("a page of another site may not send it"));
    }
    Ok(())
}

/// Whether a `Host` names no name but `localhost`.
fn is_of_this_machine(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("localhost", port),
            _ => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_here = name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok();
    is_here && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_origin_of(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn is_taken(values: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        check(&headers, &["https://named.example".to_owned()]).is_ok()
    }

    #[test]
    fn programs_write() {
        assert!(is_taken(&[]));
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]", "10.0.0.1"] {
            assert!(is_taken(&[("host", host)]), "{host}");
        }
    }

    #[test]
    fn rebound_names_do_not() {
        for host in [
            "rebound.example",
            "rebound.example:8080",
            "127.0.0.1.rebound.example",
            "localhost.rebound.example",
            "localhost@rebound.example",
            "[rebound.example]:80",
            "[::1",
            "::1",
            "localhost:80.rebound.example",
            "",
        ] {
            assert!(!is_taken(&[("host", host)]), "{host}");
        }
        assert!(!is_taken(&[("host", "localhost"), ("host", "rebound.example")]));
    }

    #[test]
    fn pages_write_to_their_own_site_alone() {
        let here = ("host", "127.0.0.1:8080");
        assert!(is_taken(&[here, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")]));
        assert!(is_taken(&[here, ("sec-fetch-site", "none")]));
        for origin in
            ["http://127.0.0.1:3000", "http://evil.example", "null", "", "http://127.0.0.1:8080.evil.example"]
        {
            assert!(!is_taken(&[here, ("origin", origin)]), "{origin}");
        }
        assert!(!is_taken(&[here, ("sec-fetch-site", "cross-site")]));
        let named = ("origin", "https://named.example");
        assert!(is_taken(&[here, named, ("sec-fetch-site", "cross-site")]));
        assert!(!is_taken(&[("host", "rebound.example"), named]));
        assert!(!is_taken(&[here, named, ("origin", "http://evil.example")]));
        assert!(!is_taken(&[here, ("origin", "http://127.0.0.1:8080"), ("origin", "http://evil.example")]));
    }
}
