// Sections under a lock of another client: worker.js CLIENT KEY JOURNAL SECONDS PORT…
//
// CLIENT is node-redlock-4, node-redlock-5 or redlock-universal; its packages are in node_modules of
// the working directory.
const fs = require('fs');
const { createRequire } = require('module');
const here = createRequire(process.cwd() + '/');
const [client, key, path, seconds, ...ports] = process.argv.slice(2);
const Redis = here('ioredis');
const servers = ports.map((port) => new Redis({ host: '127.0.0.1', port: Number(port) }));
const TTL_MS = 10_000;
const journal = fs.openSync(path, 'a');
const pause = (least, most) =>
  new Promise((done) => setTimeout(done, least + Math.random() * (most - least)));

async function section() {
  const begun = process.hrtime.bigint();
  await pause(1, 15);
  fs.writeSync(journal, `${begun} ${process.hrtime.bigint()} ${client}\n`);
}

const makers = {
  'node-redlock-4': () => {
    const Redlock = here('redlock');
    const redlock = new Redlock(servers, { retryCount: 0 });
    redlock.on('clientError', () => {});
    return { acquire: () => redlock.lock(key, TTL_MS), release: (held) => held.unlock() };
  },
  'node-redlock-5': () => {
    const Redlock = here('redlock').default;
    const redlock = new Redlock(servers, { retryCount: 0 });
    redlock.on('error', () => {});
    return { acquire: () => redlock.acquire([key], TTL_MS), release: (held) => held.release() };
  },
  'redlock-universal': () => {
    const { createRedlock, IoredisAdapter } = here('redlock-universal');
    const adapters = servers.map((server) => new IoredisAdapter(server));
    const lock = createRedlock({ adapters, key, ttl: TTL_MS, retryAttempts: 0 });
    return { acquire: () => lock.acquire(), release: (held) => lock.release(held) };
  },
};

async function main() {
  const { acquire, release } = makers[client]();
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    let held;
    try {
      held = await acquire();
    } catch {
      await pause(10, 50);
      continue;
    }
    await section();
    // An interval between sections lets the others in.
    await release(held).catch(() => {});
    await pause(20, 150);
  }
  process.exit(0);
}
main();
