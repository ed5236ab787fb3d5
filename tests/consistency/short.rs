//! Short histories, and a checker of others: stateright's, which knows nothing of revisions. It looks for an order of
//! all operations, among all that real time allows, in which one client after another would have been told the same.
//!
//! The collection is seen as far as it is a history's own, by its titles: what is linearizable is so in each part.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::words::{Ask, Content, How, Movie, Service, split};

/// Operations of each client: the search is exponential.
const STEPS: usize = 4;

/// One client after another.
#[derive(Debug, Clone, Default)]
struct Catalogue {
    movies: BTreeMap<u64, Movie>,
    highest: u64,
}

/// What a client was told, without its revision.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Whole(Vec<Movie>),
    One(Option<Movie>),
    Created(Vec<Movie>),
    Deleted(Vec<u64>),
}

impl Catalogue {
    fn create(&mut self, movies: Vec<Movie>) -> Seen {
        for movie in &movies {
            self.highest = movie.id;
            self.movies.insert(movie.id, movie.clone());
        }
        Seen::Created(movies)
    }
}

impl SequentialSpec for Catalogue {
    type Op = Ask;
    type Ret = Seen;

    fn invoke(&mut self, ask: &Ask) -> Seen {
        match ask {
            Ask::Whole(_) => Seen::Whole(self.movies.values().cloned().collect()),
            Ask::One(id) => Seen::One(self.movies.get(id).cloned()),
            Ask::Create(titles) => {
                let ids = self.highest + 1..;
                let created =
                    ids.zip(titles).map(|(id, title)| Movie { id, title: title.clone(), version: 1 });
                let created = created.collect();
                self.create(created)
            }
            Ask::Rename(id, title) => Seen::One(self.movies.get_mut(id).map(|movie| {
                movie.title.clone_from(title);
                movie.version += 1;
                movie.clone()
            })),
            Ask::Delete(ids) => {
                Seen::Deleted(ids.iter().filter(|id| self.movies.remove(id).is_some()).copied().collect())
            }
        }
    }

    /// Ids are given to others meanwhile, so that they rise, but not by one.
    fn is_valid_step(&mut self, ask: &Ask, seen: &Seen) -> bool {
        let (Ask::Create(titles), Seen::Created(movies)) = (ask, seen) else {
            return self.invoke(ask) == *seen;
        };
        let rise =
            movies.is_sorted_by(|a, b| a.id < b.id) && movies.iter().all(|movie| movie.id > self.highest);
        let right = movies
            .iter()
            .map(|movie| (&movie.title, movie.version))
            .eq(titles.iter().map(|title| (title, 1)));
        self.create(movies.clone());
        rise && right
    }
}

/// Makes a history with as many clients as there are services, and looks for its order. How long it is.
pub(crate) fn history<S: Service>(clients: &mut [S], name: &str, seed: u64) -> Result<usize, String> {
    let mut random = SmallRng::seed_from_u64(seed);
    let title = |n: u32| format!("{name} {n}");
    let Content::Created(movies) = clients[0].ask(&Ask::Create(vec![title(1), title(2)]), None).content
    else {
        unreachable!()
    };
    let movies: Vec<Movie> = movies.iter().map(|movie| Movie::of(movie)).collect();
    let ids: Vec<u64> = movies.iter().map(|movie| movie.id).collect();
    let mut begin = Catalogue::default();
    begin.create(movies);
    let tester = Mutex::new(LinearizabilityTester::new(begin));
    let gone = thread::scope(|scope| {
        let clients: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(client, service)| {
                let (mut random, mut ids) = (SmallRng::seed_from_u64(random.random()), ids.clone());
                let (tester, prefix) = (&tester, format!("{name} "));
                scope.spawn(move || {
                    for step in 0..STEPS {
                        let title = format!("{name} {client}-{step}");
                        let which = ids[random.random_range(0..ids.len())];
                        let ask = match random.random_range(0..8) {
                            0 => Ask::Create(vec![title]),
                            1 | 2 => Ask::Rename(which, title),
                            3 => Ask::Delete(vec![which]),
                            4 | 5 => Ask::One(which),
                            n => Ask::Whole(How { gzip: n == 6, conditional: random.random() }),
                        };
                        thread::sleep(Duration::from_micros(random.random_range(0..500)));
                        tester.lock().unwrap().on_invoke(client, ask.clone()).unwrap();
                        let told = service.ask(&ask, None).content;
                        let seen = match told {
                            Content::Whole(whole) => {
                                let movies = split(&whole).into_iter().map(|movie| Movie::of(&movie));
                                Seen::Whole(movies.filter(|movie| movie.title.starts_with(&prefix)).collect())
                            }
                            Content::One(_, movie) | Content::Renamed(_, movie) => {
                                Seen::One(movie.map(|movie| Movie::of(&movie)))
                            }
                            Content::Created(movies) => {
                                Seen::Created(movies.iter().map(|movie| Movie::of(movie)).collect())
                            }
                            Content::Deleted { deleted, .. } => Seen::Deleted(deleted),
                        };
                        if let Seen::Created(movies) = &seen {
                            ids.extend(movies.iter().map(|movie| movie.id));
                        }
                        tester.lock().unwrap().on_return(client, seen).unwrap();
                    }
                    ids
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    clients[0].ask(&Ask::Delete(gone), None);
    let tester = tester.into_inner().unwrap();
    if tester.is_consistent() { Ok(tester.len()) } else { Err(format!("no order explains {tester:#?}")) }
}
