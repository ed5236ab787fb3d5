//! Settings of who may ask: how often, from which sites' scripts, and through whom.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::{Origin, Url};

/// `off`, or a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrOff<T>(pub Option<T>);

impl<T: FromStr<Err = String>> FromStr for OrOff<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}

/// How often one client may ask: `100/s`, `1000/m`, `5000/h`, and how many at once (`100/s,burst=200`).
///
/// It is a bucket: it holds `burst` requests and fills up again at this rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The time in which one request more is allowed.
    pub period: Duration,
    /// How many may come at once, after a pause.
    pub burst: NonZeroU32,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help =
            "give a rate such as 100/s, 1000/m or 5000/h, perhaps with a burst (100/s,burst=200), or off";
        let number = |text: &str| match text.parse::<NonZeroU32>() {
            Ok(number) if number.get() <= 1_000_000 => Ok(number),
            _ => Err(format!("\"{text}\" is no number from 1 to 1000000: {help}")),
        };
        let (rate, burst) = match text.split_once(',') {
            Some((rate, burst)) => {
                let burst = burst.trim().strip_prefix("burst=").ok_or(help)?;
                (rate, Some(number(burst)?))
            }
            None => (text, None),
        };
        let (requests, unit) = rate.trim().split_once('/').ok_or(help)?;
        let requests = number(requests)?;
        let window = Duration::from_secs(match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(format!("\"{unit}\" is no unit of time: {help}")),
        });
        Ok(Self { period: window / requests.get(), burst: burst.unwrap_or(requests) })
    }
}

/// Addresses and networks, parted by commas: `10.0.0.0/8,192.0.2.7,2001:db8::/32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|network| network_of(network.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn network_of(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            format!(
                "\"{text}\" is no address or network: give such as 10.0.0.0/8,192.0.2.7,2001:db8::/32, or off"
            )
        })?,
    };
    if network.prefix_len() == 0 {
        return Err(format!(
            "\"{text}\" is everyone, and whoever is trusted may say who asks: name your proxies"
        ));
    }
    Ok(network.trunc())
}

/// Web sites whose scripts may read the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These, as browsers spell them: `https://example.com`, with a port where it is not the usual one.
    These(Vec<String>),
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',').map(|origin| origin_of(origin.trim())).collect::<Result<_, _>>().map(Self::These)
    }
}

fn origin_of(text: &str) -> Result<String, String> {
    if let Ok(url) = Url::parse(text)
        && matches!(url.scheme(), "http" | "https")
        && let origin @ Origin::Tuple(..) = url.origin()
    {
        let spelt = origin.ascii_serialization();
        if spelt == text {
            return Ok(spelt);
        }
        return Err(format!("\"{text}\" is spelt {spelt} by browsers: write it so"));
    }
    Err(format!(
        "\"{text}\" is no origin: give such as https://example.com, parted by commas, or * alone, or off"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_bucket_that_fills_up_again() {
        for (text, period_us, burst) in [
            ("100/s", 10_000, 100),
            ("1000/m", 60_000, 1000),
            ("3600/h", 1_000_000, 3600),
            ("100/s,burst=200", 10_000, 200),
            (" 1/s , burst=1 ".trim(), 1_000_000, 1),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.period.as_micros(), rate.burst.get()), (period_us, burst), "{text}");
        }
        for text in
            ["", "100", "0/s", "-1/s", "1/d", "100/s,200", "100/s,burst=0", "1e3/s", "2000000/s", "/s", "1/"]
        {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        assert_eq!("off".parse::<OrOff<Rate>>(), Ok(OrOff(None)));
    }

    #[test]
    fn networks_are_addresses_or_prefixes() {
        let Networks(networks) = "10.1.2.3/8, 192.0.2.7,2001:db8::/32,::ffff:192.0.2.8".parse().unwrap();
        let told: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "192.0.2.8/32"]);
        for text in ["", "proxy.local", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.1,", "10.0.0.1 10.0.0.2"]
        {
            assert!(text.parse::<Networks>().is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_spelt_as_browsers_do() {
        assert_eq!("*".parse(), Ok(Origins::Any));
        assert_eq!(
            "https://example.com, http://localhost:3000".parse(),
            Ok(Origins::These(vec!["https://example.com".into(), "http://localhost:3000".into()]))
        );
        for text in [
            "",
            "example.com",
            "https://example.com/",
            "https://Example.com",
            "https://example.com:443",
            "https://example.com/app",
            "https://user@example.com",
            "ftp://example.com",
            "null",
            "https://example.com,*",
            "https://",
        ] {
            assert!(text.parse::<Origins>().is_err(), "{text}");
        }
    }
}
