/* The floor under redlock: the least that a Redlock around a command can cost: floor [-w] NAME COMMAND [ARG…]
 *
 * It connects to all instances in REDLOCK_URLS at once, takes the lock with the first bytes that it sends them, starts the
 * command at the deciding vote, deletes the key where it has its own value, and leaves as the command left. With -w it waits
 * in the queue while another run has the lock, and wakes the next one when it leaves. It does nothing else: it does not extend, kill
 * or explain, and a waiter that dies in the queue may delay it, so it is for measuring and not for use. Addresses are
 * numeric, since a static binary cannot look up names; there are no passwords. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 32, TTL_MS = 30000, LIMIT_MS = 1000, AGAIN_MS = 5, NO_QUORUM = 69, NOT_FOUND = 127 };

#define GIVE_BACK "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) "
#define WAKE "local next = redis.call('ZPOPMIN', KEYS[2]) if next[1] then redis.call('PUBLISH', next[1], '') end "
static const char RELEASE[] = GIVE_BACK "end return redis.status_reply('BYE')";
static const char RELEASE_AND_WAKE[] = GIVE_BACK WAKE "end return redis.status_reply('BYE')";
static const char JOIN[] = GIVE_BACK "end redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3]) "
                                     "if redis.call('EXISTS', KEYS[1]) == 0 then " WAKE "end return 0";

extern char **environ;

/* What an instance says, each in a line of its own. */
enum word { NOTHING = 0, YES = 1, NO = 2, TURN = 4, BYE = 8 };

/* One instance. Whoever cannot be talked to has no descriptor. */
struct instance {
    int fd;
    /* How many votes are still to come; the last of them counts. */
    int owed;
    /* Whether it was asked, and whether it has said what is awaited. */
    bool is_asked, is_done;
    /* The beginning of the line that is coming in, and how long that is. */
    char line[8];
    size_t length;
};

static struct instance instances[MOST];
static struct pollfd polled[MOST];
static size_t count;

static void fail(int code, const char *what) {
    fprintf(stderr, "floor: %s\n", what);
    exit(code);
}

/* Begins to connect to `url`: unix:///PATH, or [redis://]ADDRESS[:PORT]. Answers a descriptor, or -1. */
static int begin_to_connect(char *url) {
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_in inet;
    } address = {0};
    socklen_t length;
    if (strncmp(url, "unix://", 7) == 0) {
        address.local.sun_family = AF_UNIX;
        snprintf(address.local.sun_path, sizeof address.local.sun_path, "%s", url + 7);
        length = sizeof address.local;
    } else {
        url += strncmp(url, "redis://", 8) == 0 ? 8 : 0;
        char *colon = strchr(url, ':');
        if (colon) {
            *colon = '\0';
        }
        address.inet.sin_family = AF_INET;
        address.inet.sin_port = htons(colon ? (in_port_t)atoi(colon + 1) : 6379);
        if (inet_pton(AF_INET, url, &address.inet.sin_addr) != 1) {
            fail(78, "an address is not numeric");
        }
        length = sizeof address.inet;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && address.any.sa_family == AF_INET) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        /* The end of the handshake goes with the first request. */
        setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &(int){0}, sizeof(int));
    }
    if (fd >= 0 && connect(fd, &address.any, length) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static void connect_to_all(void) {
    char *urls = getenv("REDLOCK_URLS");
    if (!urls || !(urls = strdup(urls))) {
        fail(78, "REDLOCK_URLS is not set");
    }
    for (char *url = strtok(urls, ", "); url; url = strtok(NULL, ", ")) {
        if (count == MOST) {
            fail(78, "too many instances");
        }
        instances[count++] = (struct instance){.fd = begin_to_connect(url)};
    }
    if (count == 0) {
        fail(78, "REDLOCK_URLS is empty");
    }
}

static void lose(struct instance *instance) {
    close(instance->fd);
    instance->fd = -1;
}

/* A text of commands in the protocol of Redis. */
struct request {
    char bytes[2048];
    size_t length;
};

/* Puts one command of `words` words behind the others. */
static void add(struct request *request, int words, ...) {
    va_list list;
    va_start(list, words);
    request->length += (size_t)sprintf(request->bytes + request->length, "*%d\r\n", words);
    while (words--) {
        const char *word = va_arg(list, const char *);
        request->length += (size_t)sprintf(request->bytes + request->length, "$%zu\r\n%s\r\n", strlen(word), word);
    }
    va_end(list);
}

/* It is far smaller than what the kernel takes at once, so a part of it is as good as none. */
static void ask(struct instance *instance, const struct request *request) {
    if (send(instance->fd, request->bytes, request->length, MSG_NOSIGNAL) != (ssize_t)request->length) {
        lose(instance);
    }
}

static enum word meaning(const struct instance *instance) {
    static const struct {
        const char *line;
        enum word word;
    } lines[] = {{"+OK", YES}, {"$-1", NO}, {"_", NO}, {"message", TURN}, {"+BYE", BYE}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (strlen(lines[i].line) == instance->length && memcmp(lines[i].line, instance->line, instance->length) == 0) {
            return lines[i].word;
        }
    }
    return NOTHING;
}

/* Reads what has come, and answers the words in it, added up. A vote counts when it is the last that is owed. */
static int hear(struct instance *instance) {
    char bytes[4096];
    int heard = 0;
    ssize_t length = recv(instance->fd, bytes, sizeof bytes, 0);
    if (length == 0 || (length < 0 && errno != EAGAIN)) {
        lose(instance);
    }
    for (ssize_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            enum word word = meaning(instance);
            bool is_vote = word == YES || word == NO;
            instance->owed -= is_vote;
            heard |= is_vote && instance->owed != 0 ? NOTHING : word;
            instance->length = 0;
        } else if (bytes[i] != '\r') {
            if (instance->length < sizeof instance->line) {
                instance->line[instance->length] = bytes[i];
            }
            instance->length++;
        }
    }
    return heard;
}

/* Has all of them say something new. */
static void begin(bool is_asked) {
    for (size_t i = 0; i < count; i++) {
        instances[i].is_asked = is_asked;
        instances[i].is_done = false;
    }
}

/* Waits for `ms` until those who are not done can be asked, or say something; false when they do not. */
static bool wait_for_them(int ms) {
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        bool is_awaited = instances[i].fd >= 0 && !instances[i].is_done;
        polled[i] = (struct pollfd){.fd = is_awaited ? instances[i].fd : -1,
                                    .events = instances[i].is_asked ? POLLIN : POLLOUT};
        any |= is_awaited;
    }
    return any && poll(polled, count, ms) > 0;
}

/* Asks everybody to set the key; whether a majority did. */
static bool acquire(const struct request *set) {
    size_t granted = 0;
    begin(false);
    while (granted <= count / 2 && wait_for_them(LIMIT_MS)) {
        for (size_t i = 0; i < count && granted <= count / 2; i++) {
            struct instance *instance = &instances[i];
            if (polled[i].revents && !instance->is_asked) {
                instance->is_asked = true;
                instance->owed++;
                ask(instance, set);
            } else if (polled[i].revents) {
                int heard = hear(instance);
                instance->is_done = (heard & (YES | NO)) != 0;
                granted += (heard & YES) != 0;
            }
        }
    }
    return granted > count / 2;
}

/* Gives back what it has, joins the line, and waits until a majority says that it is its turn; or a few, and no more. */
static void wait_in_line(const struct request *join) {
    size_t turns = 0;
    begin(true);
    for (size_t i = 0; i < count; i++) {
        if (instances[i].fd >= 0) {
            ask(&instances[i], join);
        }
    }
    while (turns <= count / 2 && wait_for_them(turns > 0 ? AGAIN_MS : -1)) {
        for (size_t i = 0; i < count; i++) {
            if (polled[i].revents && hear(&instances[i]) & TURN) {
                instances[i].is_done = true;
                turns++;
            }
        }
    }
    if (turns == 0) {
        fail(NO_QUORUM, "no instance is left to give a turn");
    }
}

/* Asks everybody who may have the key to delete it and to close the connection, and waits for a majority. */
static void release(const struct request *eval) {
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        /* Who was never asked has nothing. */
        instances[i].is_done = !instances[i].is_asked;
        instances[i].is_asked = true;
        if (instances[i].fd >= 0 && !instances[i].is_done) {
            ask(&instances[i], eval);
        }
    }
    while (done <= count / 2 && wait_for_them(LIMIT_MS)) {
        for (size_t i = 0; i < count; i++) {
            if (polled[i].revents && hear(&instances[i]) & BYE) {
                instances[i].is_done = true;
                done++;
            }
        }
    }
}

static int run(char **argv) {
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0) {
        return NOT_FOUND;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return 125;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
    unsigned char random[20];
    char value[2 * sizeof random + 1], key[160], queue[160], since[32], ttl[16];
    bool waits = argc > 1 && strcmp(argv[1], "-w") == 0;
    argv += waits;
    if (argc < 3 + waits || strlen(argv[1]) > 128) {
        fail(64, "usage: floor [-w] NAME COMMAND [ARG...]");
    }
    if (getrandom(random, sizeof random, 0) != sizeof random) {
        fail(125, "the system gives no randomness");
    }
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(value + 2 * i, 3, "%02x", random[i]);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(since, sizeof since, "%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    snprintf(ttl, sizeof ttl, "%d", TTL_MS);
    snprintf(key, sizeof key, "floor:%s", argv[1]);
    snprintf(queue, sizeof queue, "floor-queue:%s", argv[1]);
    struct request set = {0}, first_join = {0}, join = {0}, leave = {0};
    add(&set, 6, "SET", key, value, "NX", "PX", ttl);
    add(&leave, 6, "EVAL", waits ? RELEASE_AND_WAKE : RELEASE, "2", key, queue, value);
    add(&leave, 1, "QUIT");
    connect_to_all();
    bool is_held = acquire(&set);
    if (waits && !is_held) {
        /* From then on a connection can be told something that it did not ask for. */
        add(&first_join, 2, "HELLO", "3");
        add(&first_join, 2, "SUBSCRIBE", value);
        add(&join, 8, "EVAL", JOIN, "2", key, queue, value, since, value);
        add(&first_join, 8, "EVAL", JOIN, "2", key, queue, value, since, value);
        for (wait_in_line(&first_join); !(is_held = acquire(&set)); wait_in_line(&join)) {
        }
    }
    int code = is_held ? run(argv + 2) : NO_QUORUM;
    release(&leave);
    return code;
}
