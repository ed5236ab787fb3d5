//! Settings that are more than a number or a word.

use super::guard::{Networks, Origins, Rate};
use super::location::Location;
use super::redis_url::RedisUrl;
use super::units::ByteSize;
use crate::fuzz::target;

/// What is taken is taken again as it is told, and what is told of it has no secret.
#[test]
fn settings() {
    target("settings", 10_000, |text| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        if let Ok(ByteSize(bytes)) = text.parse() {
            assert!(bytes > 0);
            assert_eq!(bytes.to_string().parse(), Ok(ByteSize(bytes)));
        }
        if let Ok(rate) = text.parse::<Rate>() {
            assert!(!rate.period.is_zero() && rate.period.as_secs() <= 3600);
        }
        if let Ok(Networks(networks)) = text.parse() {
            assert!(!networks.is_empty() && networks.iter().all(|network| network.prefix_len() > 0));
            let told: Vec<String> = networks.iter().map(ToString::to_string).collect();
            assert_eq!(told.join(",").parse(), Ok(Networks(networks)));
        }
        if let Ok(Origins::These(origins)) = text.parse() {
            assert_eq!(origins.join(",").parse(), Ok(Origins::These(origins)));
        }
        if let Ok(url) = text.parse::<RedisUrl>() {
            assert_eq!(url.reveal().as_str().parse::<RedisUrl>().unwrap().reveal(), url.reveal());
            let told = url.to_string();
            assert_eq!(told.parse::<RedisUrl>().unwrap().to_string(), told);
            assert!(!told.contains('@') && !told.contains('?'));
        }
        if let Ok(location) = text.parse::<Location>() {
            let told = location.to_string();
            assert_eq!(told.parse::<Location>().unwrap().to_string(), told);
            assert!(matches!(location, Location::Sqlite(_)) || !told.contains('?'));
        }
    });
}
