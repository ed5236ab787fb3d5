//! Clients that do what comes to their minds, and tell what they were told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::checker::{Operation, Replay};
use super::words::{Ask, Content, How, Movie, Service, split};

/// What each client does before all are checked together.
const EPOCH: u64 = 500;
/// One operation in so many is a write.
const READS: u32 = 50;
/// One in so many is followed by a pause.
const PAUSES: u32 = 40;
/// So many segments hold movies that stay, and each of them so many: what is whole is joined of several.
const SEGMENTS: u64 = 4;
const STAY: u64 = 4;
/// Movies that come and go: so many at most.
const COME_AND_GO: usize = 24;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Writes {
    /// Movies are created, renamed and deleted.
    All,
    /// They are only created: of that alone it is told later whether it was done, where nothing could be told at once.
    Creations,
}

/// What the clients know together.
struct World {
    writes: Writes,
    /// By replica: the newest revision that anybody was told by it.
    told: Vec<AtomicU64>,
    stay: Vec<u64>,
    come_and_go: Mutex<Vec<u64>>,
}

pub(crate) struct Client<S> {
    /// By replica.
    pub(crate) services: Vec<S>,
    random: SmallRng,
    name: usize,
    titles: u64,
    /// The newest revision that this client knows of.
    knows: u64,
}

/// A run, which goes on for as long as it is told to.
pub(crate) struct Load<S> {
    world: World,
    pub(crate) clients: Vec<Client<S>>,
    replay: Replay,
    pub(crate) operations: u64,
    pub(crate) writes: u64,
    pub(crate) revisions: u64,
}

impl<S: Service> Load<S> {
    /// Each client has a service for each replica.
    pub(crate) fn prepare(mut services: Vec<Vec<S>>, writes: Writes, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let first = &mut services[0][0];
        let titles = (1..SEGMENTS * 256).map(|n| format!("first {n}")).collect();
        let Content::Created(movies) = first.ask(&Ask::Create(titles), None).content else { unreachable!() };
        let ids: Vec<u64> = movies.iter().map(|movie| Movie::of(movie).id).collect();
        let (stay, go): (Vec<u64>, Vec<u64>) = ids.into_iter().partition(|id| id % 256 < STAY);
        for go in go.chunks(100) {
            first.ask(&Ask::Delete(go.to_vec()), None);
        }
        let begin = first.ask(&Ask::Whole(How::PLAIN), None);
        let Content::Whole(whole) = begin.content else { unreachable!() };
        let told = services[0].iter().map(|_| AtomicU64::new(0)).collect();
        let clients = services.into_iter().enumerate().map(|(name, services)| Client {
            services,
            random: SmallRng::seed_from_u64(random.random()),
            name,
            titles: 0,
            knows: begin.revision,
        });
        Self {
            world: World { writes, told, stay, come_and_go: Mutex::default() },
            clients: clients.collect(),
            replay: Replay::from(begin.revision, split(&whole)),
            operations: 0,
            writes: 0,
            revisions: 0,
        }
    }

    /// Goes on until there was enough, and everything was checked; or until something is wrong.
    pub(crate) fn run(&mut self, enough: impl Fn(&Self) -> bool) -> Result<(), String> {
        let (began, mut done) = (self.replay.revision(), Vec::new());
        loop {
            let (world, replay, last) = (&self.world, &mut self.replay, &done);
            // What was done is checked while more is done.
            let (checked, more) = thread::scope(|scope| {
                let clients: Vec<_> =
                    self.clients.iter_mut().map(|client| scope.spawn(|| client.act(world))).collect();
                let checked = replay.check(last);
                let acted = clients.into_iter().map(|client| client.join());
                (checked, acted.collect::<Result<Vec<_>, _>>())
            });
            checked?;
            done = more.unwrap_or_else(|surprise| std::panic::resume_unwind(surprise)).concat();
            self.operations += done.len() as u64;
            self.writes += done.iter().filter(|done| done.told.content.is_change()).count() as u64;
            // All talk to each other.
            let newest = self.world.newest();
            for client in &mut self.clients {
                client.knows = newest;
            }
            self.revisions = newest - began;
            if enough(self) {
                return self.replay.check(&done);
            }
        }
    }

    /// The newest revision that anybody was told.
    pub(crate) fn newest(&self) -> u64 {
        self.world.newest()
    }
}

impl World {
    fn newest(&self) -> u64 {
        self.told.iter().map(|told| told.load(Ordering::SeqCst)).max().unwrap_or_default()
    }
}

impl<S: Service> Client<S> {
    fn act(&mut self, world: &World) -> Vec<Operation> {
        (0..EPOCH).map(|_| self.step(world)).collect()
    }

    fn step(&mut self, world: &World) -> Operation {
        let ask = self.any(world);
        let replica = self.random.random_range(0..self.services.len());
        // Now and then it hears from the others.
        if self.random.random_range(0..8) == 0 {
            self.knows = self.knows.max(world.newest());
        }
        // Of many replicas a revision is asked for, which a client need not do of one.
        let at_least = (self.services.len() > 1).then_some(self.knows);
        let mut after = self.knows.max(world.told[replica].load(Ordering::SeqCst));
        if !matches!(ask, Ask::Whole(_) | Ask::One(_)) {
            // Whichever replica writes, all writes have one order.
            after = after.max(world.newest());
        }
        let told = self.services[replica].ask(&ask, at_least);
        world.told[replica].fetch_max(told.revision, Ordering::SeqCst);
        self.knows = self.knows.max(told.revision);
        if let Content::Created(movies) = &told.content {
            let ids = movies.iter().map(|movie| Movie::of(movie).id);
            world.come_and_go.lock().unwrap().extend(ids);
        }
        if self.random.random_range(0..PAUSES) == 0 {
            thread::sleep(Duration::from_micros(self.random.random_range(0..1000)));
        }
        Operation { after, told }
    }

    fn any(&mut self, world: &World) -> Ask {
        let random = &mut self.random;
        if random.random_range(0..READS) == 0 {
            let mut come_and_go = world.come_and_go.lock().unwrap();
            let titles = |titles: &mut u64| {
                *titles += 1;
                format!("{}-{titles}", self.name)
            };
            let which = if world.writes == Writes::All { random.random_range(0..4) } else { 2 };
            return match which {
                0 | 1 => Ask::Rename(known(random, &world.stay, &come_and_go), titles(&mut self.titles)),
                2 if come_and_go.len() < COME_AND_GO || world.writes == Writes::Creations => {
                    Ask::Create((0..random.random_range(1..3)).map(|_| titles(&mut self.titles)).collect())
                }
                _ if come_and_go.is_empty() => Ask::Create(vec![titles(&mut self.titles)]),
                _ => {
                    // Sometimes two clients want to be rid of the same one.
                    let stays = random.random_range(0..8) == 0;
                    let many = random.random_range(1..=come_and_go.len().min(2));
                    let ids = (0..many).map(|_| {
                        let which = random.random_range(0..come_and_go.len());
                        if stays { come_and_go[which] } else { come_and_go.swap_remove(which) }
                    });
                    let mut ids: Vec<u64> = ids.collect();
                    ids.dedup();
                    Ask::Delete(ids)
                }
            };
        }
        match random.random_range(0..8) {
            n @ 0..5 => Ask::Whole(How { gzip: n % 2 == 1, conditional: n > 1 }),
            5 | 6 => Ask::One(known(random, &world.stay, &world.come_and_go.lock().unwrap())),
            // It may be there, may be gone, may come.
            _ => {
                let newest = world.come_and_go.lock().unwrap().iter().max().copied().unwrap_or_default();
                Ask::One((newest + 2).saturating_sub(random.random_range(0..16)).max(1))
            }
        }
    }
}

fn known(random: &mut SmallRng, stay: &[u64], come_and_go: &[u64]) -> u64 {
    let which = random.random_range(0..stay.len() + come_and_go.len());
    stay.iter().chain(come_and_go).nth(which).copied().unwrap()
}
