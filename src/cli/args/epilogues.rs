//! The texts behind the options in the help: examples, exit codes, and explanations.

pub(super) const EPILOGUE: &str = "\
'redlock help VERB' says all about one of them, 'redlock VERB -h' the most
important. To try redlock without a server of your own: redlock sandbox";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  redlock run --ttl 30s -- ./migrate.sh           wait, then migrate
  redlock run -n nightly -- backup --all          75 if another host is at it
  redlock run --if-busy skip -- php artisan cron  0 if another host is at it
  redlock run -w 10m deploy -c 'make && make up'  wait for at most ten minutes

All options, exit codes and variables: redlock run --help";

pub(super) const RUN_EPILOGUE: &str = "\
Examples:
  redlock run --ttl 30s -- ./migrate.sh           wait, then migrate
  redlock run -n nightly -- backup --all          75 if another host is at it
  redlock run --if-busy skip -- php artisan cron  0 if another host is at it
  redlock run -w 10m deploy -c 'make && make up'  wait for at most ten minutes

Once a night, on whichever host is first; another one if it fails there:
  redlock run --if-busy skip --min-hold 1m --min-hold-on success \\
    report -- ./report.sh

Exit codes:
  the command's own; 128+n if it died of signal n, or n came while waiting
  64 usage, 69 no quorum, 74 lock lost, 75 busy, 77 access refused,
  78 configuration, 124 ran for too long, 125 redlock failed,
  126 command cannot be executed, 127 command not found

A NAME is the same lock on every host. Without one, the name is made of the
program without its directory and a hash of the arguments: /a/backup.sh and
/b/backup.sh without arguments are one lock. Give each a NAME of its own.

A length is 500ms, 30s, 1h30m; a bare number is seconds. Every option but
--lock, --key, --command and --fence can be set by a variable, as REDLOCK_TTL
for --ttl and REDLOCK_URLS for --url, and some by
~/.config/redlock/config.toml or /etc/redlock/config.toml.

Other users of this host can read the arguments of a process. redlock takes a
password in --url out of them as soon as it runs; in REDLOCK_URLS,
REDLOCK_PASSWORD or a --password-file it is never there.";

pub(super) const WAIT_EPILOGUE: &str = "\
Examples:
  redlock wait deploy               until no deploy is under way
  redlock wait -w 10m db && backup  for at most ten minutes, then leave with 75

The lock is free when a majority of the servers say so, with slots when one
slot is. It may be held a moment later.";

pub(super) const SANDBOX_EPILOGUE: &str = "\
Examples:
  redlock sandbox                                     a shell with servers
  redlock sandbox -n 3 -- redlock run -- echo locked  one command

The servers listen on private sockets, keep nothing on disk, and are gone when
the command is.";

pub(super) const STATUS_EPILOGUE: &str = "\
Examples:
  redlock status deploy                the holder, since when, and the waiters
  redlock status --json deploy backup  the same of two, for programs
  redlock status -q --exit-code deploy && echo free

Exit codes:
  0 if a majority of the servers can tell, 69 if not;
  with --exit-code: 0 free, 75 held, 69 undetermined;
  64 usage, 77 access refused, 78 configuration";

pub(super) const LIST_EPILOGUE: &str = "\
Examples:
  redlock list             all holders
  redlock list 'deploy-*'  of the names that fit
  redlock list --json | jq -r '.locks[].name'

Exit codes:
  0; 69 too few servers answered; 64 usage; 77 access refused, as without the
  right to SCAN; 78 configuration";

pub(super) const DOCTOR_EPILOGUE: &str = "\
It takes no lock, leaves no key, and prints one line for each fault, with its
remedy; a cluster without faults is one line.

Exit codes:
  0 locks are held as promised; 69 servers that do not answer or have no vote;
  77 a password or a right is missing; 78 configuration; 64 usage";

pub(super) const CHECK_EPILOGUE: &str = "\
Example, in a script that runs under 'redlock run':
  redlock check --left 10s || exit 1    before the step that must not be done
  ./charge-cards                        twice

The servers come from the configuration file or from --url: the command does
not inherit REDLOCK_URLS.

Exit codes:
  0 held for at least --left; 75 not held, or not for that long; 69 unknown;
  74 the lock of a handle was lost";

pub(super) const FORCE_RELEASE_EPILOGUE: &str = "\
Examples:
  redlock force-release deploy            the holder, and the command to type
  redlock force-release deploy --id 4fa2c1d09e7b --reason 'it hangs'
  redlock force-release deploy --id 4fa2c1d09e7b --now --yes

The redlock of the holder stops its command, and the lock is free when that has
ended, or when its lease is over: no two run at once. With --now the next one
may run beside a command that is still alive.

Exit codes:
  0 taken away, or free; 75 held by another one; 69 too few servers answered;
  64 usage, as without --id or --yes; 77 access refused; 78 configuration";

pub(super) const ACQUIRE_EPILOGUE: &str = "\
Examples, in a job of several steps:
  redlock acquire deploy --ttl 10m --handle .lock  nothing extends it
  redlock extend --handle .lock && ./step2         10m more, or 74 if lost
  redlock release --handle .lock                   also in 'trap ... EXIT'

No command is stopped when the lock is lost, so a step may go on without it:
'redlock run' is safer; else begin each step with 'extend' or 'check'.

Exit codes:
  0 held; 75 busy, 69 no quorum, 64 usage, 77 access refused,
  78 configuration, 125 redlock failed";

pub(super) const HOLD_EPILOGUE: &str = "\
Examples:
  redlock hold deploy --background --handle .lock --while-pid $$
  redlock check --handle .lock && ./step2
  redlock release --handle .lock   or the end of this shell
  redlock hold deploy --until-eof  until standard input ends

No command is stopped when the lock is lost, so a step may go on without it:
'redlock run' is safer; else begin each step with 'check'.

Exit codes:
  0 released, or held with --background; 74 lock lost, 75 busy,
  124 held for --max-hold, 69 no quorum, 64 usage, 77 access refused,
  78 configuration, 125 redlock failed; 128+n if signal n ended it";

pub(super) const EXTEND_EPILOGUE: &str = "\
Example:
  redlock extend --handle .lock || exit 1    before a step

The lock lasts for its TTL from now on. Only the host that acquired it can
extend it. Without a file, the new handle is printed: the old one knows only of
the old expiry.

Exit codes:
  0 held; 74 lock lost, 69 unknown: too few servers answer, 64 usage,
  75 another process uses the handle, 78 configuration or another host";

pub(super) const RELEASE_EPILOGUE: &str = "\
Example:
  trap 'redlock release --handle .lock' EXIT

Exit codes:
  0 released, now or before; 74 the lock was lost before, 64 usage,
  69 too few servers answer, 75 another process uses the handle,
  78 configuration";

pub(super) const ACQUIRE_MORE: &str = "\
No command is stopped when the lock is lost: 'redlock run' is safer.
Examples, exit codes and all options: redlock acquire --help";

pub(super) const HOLD_MORE: &str = "\
No command is stopped when the lock is lost: 'redlock run' is safer.
Examples, exit codes and all options: redlock hold --help";
