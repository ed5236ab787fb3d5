//! Schemathesis with all its checks, by every link that the document has. What it finds is told in docs/TESTING.md.

use crate::{TOKEN, client, run, start};

/// How many cases are made of each operation, besides those of examples and of the edges of the schemas.
const EXAMPLES: &str = "10";
/// The same cases in every run.
const SEED: &str = "20";

proof_on! {
    async fn schemathesis_finds_nothing(db) {
        let marquee = start(&db).await;
        let folder = tempfile::tempdir().unwrap();
        for file in ["hooks.py", "schemathesis.toml"] {
            let from = format!("{}/tests/clients/schemathesis/{file}", env!("CARGO_MANIFEST_DIR"));
            std::fs::copy(from, folder.path().join(file)).unwrap();
        }
        let examples = std::env::var("MARQUEE_TEST_SCHEMATHESIS").unwrap_or_else(|_| EXAMPLES.to_owned());
        let mut schemathesis = client("schemathesis");
        schemathesis
            .current_dir(folder.path())
            .args(["run", &marquee.url("/openapi.json"), "--checks", "all", "-n", &examples, "--seed", SEED])
            .args(["-H", &format!("Authorization: Bearer {TOKEN}")]);
        let said = run(schemathesis).await;
        // Told where it is asked for by --no-capture.
        println!("{said}");
        for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
            assert!(said.contains(&format!("✅ {phase}")), "{phase}: {said}");
        }
        let (before, _) = said.split_once(" generated, ").unwrap();
        let cases: u32 = before.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(cases > 2000, "{cases} cases are few: {said}");
        let log = marquee.log();
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    }
    sqlite: Sqlite, mysql: MySql, mariadb: MariaDb
}
