//! The real binary against real servers, under real faults.
//!
//! Each test starts its servers and programs itself, and ends them. If a program is missing on the
//! machine, the test fails with a sentence about how to get it. A test that needs root or
//! namespaces is left out without them, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg_attr(
    not(feature = "tls"),
    allow(dead_code, unused_imports, reason = "some of the support is for the tests of TLS")
)]
#![allow(
    clippy::print_stdout,
    reason = "a test that passes tells what it measured to those who ask"
)]

mod algorithm;
mod busy_or_no_quorum;
mod changing_servers;
mod check;
mod ci_jobs;
mod command;
mod contention;
mod copied_run_id;
mod dead_queue;
mod doctor;
mod documents;
mod edges;
mod error_replies;
mod events;
mod example_servers;
mod exit_codes;
mod fence;
mod first_lines;
mod force_release;
mod forgetting;
mod full_servers;
mod full_stderr;
mod help;
mod hold;
mod hostile_servers;
mod if_busy;
mod instances;
mod interactive_programs;
mod jitter;
mod job_control;
mod list;
mod log;
mod lost_lock;
mod messages;
mod min_hold;
mod minority_faults;
mod mutual_exclusion;
mod name_resolution;
mod outer_locks;
mod queue;
mod queue_faults;
mod recipes;
mod refusals;
mod restricted_systems;
mod results;
mod retryable_errors;
mod rights;
mod same_as_env;
mod sandbox;
mod server_and_network_faults;
mod service_managers;
mod signals;
mod slots;
mod spawn_faults;
mod speed;
mod ssh;
mod status;
mod steps;
mod stop_options;
mod streams;
mod supervision;
mod support;
mod suspend;
mod terminal;
mod tls;
mod tls_release;
mod trusted_files;
mod urls;
mod variables;
mod verbs;
mod visible_passwords;
mod wait_command;
mod wait_messages;
mod waiting;
mod weaknesses;
