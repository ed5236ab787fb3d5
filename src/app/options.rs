//! What the settings mean to the parts.

use std::time::Duration;

use crate::catalogue::{BatchLimits, Options};
use crate::config::Settings;
use crate::domain::MAX_NAMES;
use crate::relay::RelayOptions;
use crate::store::StoreOptions;

/// How the store is opened.
pub fn store_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        location: settings.database.url.clone(),
        pool_size: settings.database.pool_size.map(|size| size as usize),
        step: Duration::from_millis(settings.http.request_timeout_ms),
    }
}

/// How what replicas leave for each other is got and left, where there is a Redis.
pub fn relay_options(settings: &Settings) -> Option<RelayOptions> {
    let redis = &settings.redis;
    Some(RelayOptions {
        url: redis.redis_url.clone()?,
        timeout: Duration::from_millis(redis.redis_timeout_ms),
        ttl: Duration::from_secs(redis.redis_ttl_s),
    })
}

/// What bounds the catalogue of a replica that serves.
pub fn catalogue_options(settings: &Settings) -> Options {
    // Segments beyond those that the longest array of new movies can touch.
    const OTHER_SEGMENTS: usize = 64;
    let array = settings.http.array_limit as usize;
    Options {
        cache_bytes: settings.catalogue.cache_bytes.0,
        spool_bytes: settings.catalogue.spool_bytes.0,
        mailbox: settings.catalogue.mailbox as usize,
        mailbox_bytes: settings.catalogue.mailbox_bytes.as_usize(),
        batch: BatchLimits {
            commands: settings.catalogue.batch as usize,
            movies: array,
            names: MAX_NAMES,
            bytes: settings.http.body_limit.as_usize().saturating_mul(2),
            segments: OTHER_SEGMENTS,
            encoded: array / 256 + OTHER_SEGMENTS + 2,
        },
        poll: Duration::from_millis(settings.catalogue.poll_ms),
        patience: Duration::from_millis(settings.http.request_timeout_ms),
        stale: settings.catalogue.stale_s.map(Duration::from_secs),
        kept_bytes: settings.catalogue.idempotency_bytes.0,
    }
}
