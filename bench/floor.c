/* The floor under redlock: the least that a Redlock around a command can cost: floor NAME COMMAND [ARG…]
 *
 * It connects to all instances in REDLOCK_URLS at once, takes the lock with the first bytes that it sends them, starts the
 * command at the deciding vote, deletes the key where it has its own value, and leaves as the command left. And nothing
 * else: it does not extend, wait, kill or explain, so it is for measuring and not for use. Addresses are numeric, since a
 * static binary cannot look up names; there are no passwords. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 32, TTL_MS = 30000, LIMIT_MS = 1000, NO_QUORUM = 69, NOT_FOUND = 127 };

static const char RELEASE[] =
    "local v = redis.call('GET', KEYS[1]) if v == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

extern char **environ;

/* One instance. Whoever cannot be talked to has no descriptor and no vote. */
struct instance {
    int fd;
    bool is_voting;
    /* How many replies are still to come. */
    int owed;
    /* The beginning of the reply that is coming in. */
    char kind;
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
        instances[count++] = (struct instance){.fd = begin_to_connect(url), .is_voting = true};
    }
    if (count == 0) {
        fail(78, "REDLOCK_URLS is empty");
    }
}

static void lose(struct instance *instance) {
    close(instance->fd);
    instance->fd = -1;
}

/* Sends a request that has so many replies. It is far smaller than what the kernel takes at once, so a part of it is as good as
 * none. */
static void request(struct instance *instance, const char *bytes, size_t length, int replies) {
    if (send(instance->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length) {
        instance->owed += replies;
    } else {
        lose(instance);
    }
}

/* Reads what has come. Every reply is one line, of which the first byte tells enough. Answers the kind of the last whole
 * reply, or 0. */
static char hear(struct instance *instance) {
    char bytes[1024], heard = 0;
    ssize_t length = recv(instance->fd, bytes, sizeof bytes, 0);
    if (length <= 0) {
        if (length == 0 || errno != EAGAIN) {
            lose(instance);
        }
        return 0;
    }
    for (ssize_t i = 0; i < length; i++) {
        if (!instance->kind) {
            instance->kind = bytes[i];
        } else if (bytes[i] == '\n') {
            heard = instance->kind;
            instance->kind = 0;
            instance->owed--;
        }
    }
    return heard;
}

/* Waits until something happens to one of those that `is_awaited` names; false when nothing more will. */
static bool wait_for(short (*is_awaited)(const struct instance *)) {
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        short events = instances[i].fd < 0 ? 0 : is_awaited(&instances[i]);
        polled[i] = (struct pollfd){.fd = events ? instances[i].fd : -1, .events = events};
        any |= events != 0;
    }
    return any && poll(polled, count, LIMIT_MS) > 0;
}

static short vote(const struct instance *instance) {
    return !instance->is_voting ? 0 : instance->owed ? POLLIN : POLLOUT;
}

static short debt(const struct instance *instance) {
    return instance->owed ? POLLIN : 0;
}

/* Asks everybody to set the key; whether a majority did. */
static bool acquire(const char *set, size_t length) {
    size_t granted = 0;
    while (granted <= count / 2 && wait_for(vote)) {
        for (size_t i = 0; i < count && granted <= count / 2; i++) {
            struct instance *instance = &instances[i];
            if (polled[i].revents && !instance->owed) {
                request(instance, set, length, 1);
            } else if (polled[i].revents) {
                char heard = hear(instance);
                instance->is_voting = heard == 0;
                granted += heard == '+';
            }
        }
    }
    return granted > count / 2;
}

/* Asks everybody who may have the key to delete it and to close the connection, and waits for a majority. */
static void release(const char *eval, size_t length) {
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        if (instances[i].fd >= 0 && (instances[i].owed || !instances[i].is_voting)) {
            request(&instances[i], eval, length, 2);
        }
    }
    while (done <= count / 2 && wait_for(debt)) {
        for (size_t i = 0; i < count; i++) {
            if (polled[i].revents) {
                hear(&instances[i]);
                done += instances[i].owed == 0;
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
    char value[2 * sizeof random + 1], set[512], eval[1024];
    if (argc < 3 || strlen(argv[1]) > 128) {
        fail(64, "usage: floor NAME COMMAND [ARG...]");
    }
    if (getrandom(random, sizeof random, 0) != sizeof random) {
        fail(125, "the system gives no randomness");
    }
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(value + 2 * i, 3, "%02x", random[i]);
    }
    int set_length = snprintf(set, sizeof set,
                              "*6\r\n$3\r\nSET\r\n$%zu\r\nfloor:%s\r\n$40\r\n%s\r\n$2\r\nNX\r\n$2\r\nPX\r\n$5\r\n%d\r\n",
                              strlen(argv[1]) + 6, argv[1], value, TTL_MS);
    int eval_length = snprintf(eval, sizeof eval,
                               "*5\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n$1\r\n1\r\n$%zu\r\nfloor:%s\r\n$40\r\n%s\r\n"
                               "*1\r\n$4\r\nQUIT\r\n",
                               sizeof RELEASE - 1, RELEASE, strlen(argv[1]) + 6, argv[1], value);
    connect_to_all();
    bool is_held = acquire(set, (size_t)set_length);
    int code = is_held ? run(argv + 2) : NO_QUORUM;
    release(eval, (size_t)eval_length);
    return code;
}
