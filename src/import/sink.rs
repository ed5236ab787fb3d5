//! Where movies go.

use std::future::Future;
use std::time::Duration;

use crate::catalogue::{Catalogue, Error, Merged};
use crate::domain::{NewMovie, Parts};

/// A collection that takes movies. Each call is one transaction: all of its movies, or none.
pub trait Sink: Sync {
    /// Why it does not take them.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Creates those of `movies` whose `imdb_id` is not there yet and replaces `parts` of the others.
    /// Each of them has an `imdb_id`, none twice.
    fn merge(
        &self,
        movies: Vec<NewMovie>,
        parts: Parts,
    ) -> impl Future<Output = Result<Merged, Self::Error>> + Send;

    /// Creates all of `movies`; none of them has an `imdb_id`.
    fn create(&self, movies: Vec<NewMovie>) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// How often a chunk is offered before the import gives up: half a minute in all.
const TRIES: u32 = 9;
/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

impl Sink for Catalogue {
    type Error = Error;

    async fn merge(&self, movies: Vec<NewMovie>, parts: Parts) -> Result<Merged, Error> {
        // A merge may be done twice, so that even an unknown outcome is worth another try.
        patiently(
            FIRST_WAIT,
            || Self::merge(self, movies.clone(), parts),
            |e| matches!(e, Error::Away | Error::Busy | Error::NotExecuted(_) | Error::OutcomeUnknown),
        )
        .await
    }

    async fn create(&self, movies: Vec<NewMovie>) -> Result<(), Error> {
        let again = |e: &Error| matches!(e, Error::Busy | Error::NotExecuted(_));
        patiently(FIRST_WAIT, || Self::create(self, movies.clone(), None), again).await.map(|_| ())
    }
}

async fn patiently<V, F: Future<Output = Result<V, Error>>>(
    first_wait: Duration,
    mut attempt: impl FnMut() -> F,
    is_worth_another_try: impl Fn(&Error) -> bool,
) -> Result<V, Error> {
    let mut wait = first_wait;
    for _ in 1..TRIES {
        match attempt().await {
            Err(error) if is_worth_another_try(&error) => {
                log::warn!("{error}; trying again in {} ms", wait.as_millis());
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            result => return result,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_worth_it_is_tried_again_and_nothing_else() {
        for (error, tries) in [(Error::Busy, TRIES), (Error::Internal, 1)] {
            let mut tried = 0;
            let result: Result<(), Error> = patiently(
                Duration::ZERO,
                || {
                    tried += 1;
                    std::future::ready(Err(error.clone()))
                },
                |e| *e == Error::Busy,
            )
            .await;
            assert_eq!((result, tried), (Err(error), tries));
        }
    }
}
