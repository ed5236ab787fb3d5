//! What a MySQL URL says of the connection, TLS among it.

use mysql_async::{Opts, OptsBuilder, SslOpts};
use url::Url;

use crate::store::StoreError;

/// How long a connection may be silent before its other end is asked for a sign of life.
const KEEPALIVE_MS: u32 = 30_000;

/// The driver's options for `url`.
///
/// `ssl-mode` is one of `disabled` (the default), `required` (encrypts, trusts any certificate),
/// `verify_ca` and `verify_identity`; `ssl-ca` names a PEM file that is trusted instead of the public roots:
/// under `verify_ca`, which looks at no name, anybody's certificate from a public authority would do.
/// They mean what they mean to MySQL's own clients; all other parameters are the driver's.
pub(super) fn opts(url: &Url) -> Result<Opts, StoreError> {
    let mut mode = None;
    let mut ca = None;
    let mut others = Vec::new();
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "ssl-mode" => mode = Some(value.to_ascii_lowercase().replace('-', "_")),
            "ssl-ca" => ca = Some(std::path::PathBuf::from(value.as_ref())),
            _ => others.push((name.into_owned(), value.into_owned())),
        }
    }
    let wrong = |reason: String| StoreError::Misconfigured(format!("DATABASE_URL: {reason}"));
    if let Some(ca) = &ca {
        std::fs::read(ca).map_err(|e| wrong(format!("ssl-ca {}: {e}", ca.display())))?;
    }
    let (skip_ca, skip_name) = match mode.as_deref() {
        None if ca.is_some() => (false, false),
        None | Some("disabled") => return driver_opts(url, &others).map(Opts::from).map_err(wrong),
        Some("required") => (true, true),
        Some("verify_ca") => (false, true),
        Some("verify_identity") => (false, false),
        Some(other) => {
            return Err(wrong(format!(
                "ssl-mode \"{other}\" is none of disabled, required, verify_ca, verify_identity"
            )));
        }
    };
    // The driver looks for this word in the verifier's message to know that only the name is wrong, and the
    // verifier has come to say it in other words. It quotes the name that it expected, so that shall be the
    // word. The chain is verified before the name: what fails there still fails.
    let name = (skip_name && !skip_ca).then_some("NotValidForName");
    let ssl = SslOpts::default()
        .with_danger_tls_hostname_override(name)
        .with_disable_built_in_roots(ca.is_some())
        .with_root_certs(ca.map(Into::into).into_iter().collect())
        .with_danger_accept_invalid_certs(skip_ca)
        .with_danger_skip_domain_validation(skip_name);
    driver_opts(url, &others).map(|opts| opts.ssl_opts(ssl).into()).map_err(wrong)
}

fn driver_opts(url: &Url, parameters: &[(String, String)]) -> Result<OptsBuilder, String> {
    let mut url = url.clone();
    if url.scheme() != "mysql" {
        url = Url::parse(&url.as_str().replacen("mariadb", "mysql", 1)).map_err(|e| e.to_string())?;
    }
    url.set_query(None);
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    let opts = Opts::from_url(url.as_str()).map_err(|e| e.to_string())?;
    Ok(OptsBuilder::from_opts(opts)
        // TCP only: a socket file found on the way might be another server's.
        .prefer_socket(false)
        // Diesel keeps the statements; a second cache would close them under it.
        .stmt_cache_size(Some(0))
        // What is idle is asked for a sign of life, so that nobody on the way forgets it. That a server vanished without
        // a word is noticed sooner: by the limit of each step.
        .tcp_keepalive(Some(KEEPALIVE_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Opts, StoreError> {
        opts(&Url::parse(url).unwrap())
    }

    #[test]
    fn tls_is_a_parameter_of_the_url() {
        assert!(of("mysql://u:p@h/db").unwrap().ssl_opts().is_none());
        let required = of("mysql://u:p@h/db?ssl-mode=REQUIRED").unwrap();
        assert!(required.ssl_opts().unwrap().accept_invalid_certs());
        let verified = of("mariadb://u:p@h/db?ssl-mode=verify-identity").unwrap();
        assert!(!verified.ssl_opts().unwrap().accept_invalid_certs());
        assert!(!verified.ssl_opts().unwrap().skip_domain_validation());
    }

    #[test]
    fn mistakes_are_told() {
        for (url, said) in [
            ("mysql://u:p@h/db?ssl-mode=maybe", "ssl-mode"),
            ("mysql://u:p@h/db?ssl-ca=/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("mysql://u:p@h/db?colour=red", "colour"),
        ] {
            assert!(of(url).unwrap_err().to_string().contains(said), "{url}");
        }
    }
}
