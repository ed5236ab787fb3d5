//! `marquee import --metrics-file`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::metrics::promtool;
use crate::support::Marquee;
use crate::support::server::parse_metrics;

on_every_database! {
    /// What the summary says, as metrics that promtool has nothing to say of.
    async fn an_import_leaves_its_metrics(db) {
        let folder = tempfile::tempdir().unwrap();
        let (movies, told) = (folder.path().join("movies.ndjson"), folder.path().join("import.prom"));
        let lines = "{\"title\":\"a\",\"imdb_id\":\"tt0000001\"}\n{\"title\":\"b\",\"imdb_id\":\"tt0000002\"}\n{}\n";
        let import = async |lines: &str| {
            fs::write(&movies, lines).unwrap();
            let import = Marquee::prepare(db.url()).arg("import").arg(&movies).arg("--metrics-file").arg(&told);
            let (status, _, log) = import.run().await;
            let text = fs::read_to_string(&told).unwrap_or_else(|error| panic!("{error}: {log}"));
            let (passed, complaints) = promtool(&["check", "metrics"], &text);
            assert!(passed && complaints.is_empty(), "{complaints}\n{text}");
            (status.success(), parse_metrics(&text))
        };
        let rows = |outcome: &str| format!("marquee_import_rows{{table=\"movies\",outcome=\"{outcome}\"}}");

        let (succeeded, first) = import(lines).await;
        assert!(succeeded);
        for (outcome, count) in [("read", 3.0), ("created", 2.0), ("rejected", 1.0), ("unchanged", 0.0)] {
            assert_eq!(first[&rows(outcome)], count, "{outcome}");
        }
        assert_eq!(first["marquee_import_complete"], 1.0);
        assert!(first["marquee_import_duration_seconds"] > 0.0);
        let (succeeded, second) = import(&lines.replace("\"b\"", "\"c\"")).await;
        assert!(succeeded);
        for (outcome, count) in [("read", 3.0), ("created", 0.0), ("changed", 1.0), ("unchanged", 1.0)] {
            assert_eq!(second[&rows(outcome)], count, "{outcome}");
        }
        assert!(
            second["marquee_import_finished_timestamp_seconds"] > first["marquee_import_finished_timestamp_seconds"]
        );
        // A run that failed says so.
        let (succeeded, third) = import("{}\n").await;
        assert!(!succeeded);
        assert_eq!(third["marquee_import_complete"], 0.0);

        // So does one that did not begin: here, for want of a database.
        let away = format!("sqlite://{}", folder.path().join("nowhere").join("marquee.db").display());
        let unbegun = Marquee::prepare(&away).arg("import").arg(&movies).arg("--metrics-file").arg(&told);
        assert!(import(lines).await.0);
        assert!(!unbegun.run().await.0.success());
        let fourth = parse_metrics(&fs::read_to_string(&told).unwrap());
        assert_eq!((fourth["marquee_import_complete"], fourth[&rows("read")]), (0.0, 0.0));

        // Whole, readable by the collector, and nothing left beside it.
        assert_eq!(fs::metadata(&told).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    /// Before anything is read, not after hours.
    async fn a_file_that_cannot_be_written_stops_the_import(db) {
        let missing = "/nowhere/import.prom";
        let import = Marquee::prepare(db.url()).arg("import").arg("/dev/null").arg("--metrics-file").arg(missing);
        let (status, _, log) = import.run().await;
        assert!(!status.success() && log.contains(missing), "{log}");
        assert!(!log.contains("rows"), "{log}");
    }
}
