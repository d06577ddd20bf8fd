/* A load client: one thread, one epoll. It asks, counts chunks and times them; it refuses to know what a gateway is.
 *
 *   load -p PORT -b BODY [-u PATH] [-H 'Name: value']… -c CONNECTIONS [-s] …
 *     -s         the answers are event streams; without it, JSON
 *     -n COUNT   end after so many answers
 *     -d SECONDS end after a window of so long, which opens -w SECONDS after every connection has begun its answer
 *     -q RATE    requests per second, each at its time; by default a connection asks again when its answer has ended
 *     -r SECONDS over which the connections are opened
 *     -e CHUNKS  each stream must have; -g US: a longer gap between two chunks is a stall
 *     -a CHUNKS  leave after so many
 *     -f         answers may fail; they are counted and nothing is wrong
 *     -o         hold: when every connection has its first chunk, the window opens, and nothing more is read
 *
 * It prints "begin" when the window opens, and at its end one line of JSON: what came in it, times in microseconds.
 * Connections stay open until standard input ends, so that closing them is not part of what is measured. Time to first chunk is from the sending of the request on an open connection. A chunk's text is the
 * time at which the upstream sent it (upstream.c), from which its time under way follows. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, HEAD = 16384, LINE = 65536, BLOCK = 262144, STEPS = 64, BUCKETS = 64 * 40 };

/* Histograms with 64 steps for each doubling: a value is known to 1.6 %. */

typedef struct {
  uint64_t counts[BUCKETS], total, most;
} Histogram;

static void record(Histogram *h, uint64_t value) {
  int shift = 0;
  if (value > h->most) h->most = value;
  while (value >> shift >= 2 * STEPS) shift++;
  uint64_t bucket = (uint64_t)shift * STEPS + (value >> shift);
  h->counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  h->total++;
}

static uint64_t quantile(const Histogram *h, double part) {
  uint64_t wanted = (uint64_t)((double)h->total * part), seen = 0;
  for (int bucket = 0; bucket < BUCKETS; bucket++) {
    seen += h->counts[bucket];
    if (seen <= wanted) continue;
    int shift = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
    uint64_t low = (uint64_t)(bucket - shift * STEPS) << shift;
    return low + ((1u << shift) - 1) / 2;
  }
  return h->most;
}

static void print_histogram(const char *name, const Histogram *h) {
  printf("\"%s\":{\"count\":%llu,\"p50\":%llu,\"p99\":%llu,\"max\":%llu},", name, (unsigned long long)h->total,
         (unsigned long long)quantile(h, 0.5), (unsigned long long)quantile(h, 0.99), (unsigned long long)h->most);
}

/* What is wanted, and what was seen. */

static struct {
  int port, connections, streams, hold, may_fail, leave_after;
  long answers, expected;
  double warm, window, rate, ramp;
  uint64_t stall;
  char head[4096];
  const char *path, *body;
} wanted = {.path = "/v1/chat/completions", .connections = 1, .expected = -1, .body = "{}"};

static struct {
  long answers, failed, left, chunks, stalls;
  Histogram first, way, gap, whole;
  char failure[256];
} seen;

typedef enum { CONNECTING, WAITING, BODY, PAUSED } State;
typedef enum { SIZE, SIZE_LINE, DATA, DATA_END, LAST } Part;

typedef struct {
  int fd, chunked, closes, status, done, began, line_length, head_length;
  State state;
  Part part;
  long chunks, length, left; /* of the body; of the chunk of the encoding */
  uint64_t asked, last, due;
  char *head, *line;
} Connection;

static Connection *all;
static char request[2 * LINE];
static int request_length, poller, beginners, held, window_open;
static long finished;
static uint64_t started, window_began;

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static double cpu_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void fail(Connection *c, const char *what) {
  seen.failed++;
  if (seen.failure[0]) return;
  snprintf(seen.failure, sizeof seen.failure, "%s (status %d, after %ld chunks)", what, c->status, c->chunks);
  for (char *at = seen.failure; *at; at++)
    if (*at == '"' || *at == '\\' || *at < ' ') *at = '\'';
}

/* Asking. */

static void ask(Connection *c) {
  int kept_fd = c->fd;
  char *head = c->head, *line = c->line;
  *c = (Connection){.fd = kept_fd, .head = head, .line = line, .state = WAITING, .length = -1, .began = c->began, .due = c->due};
  c->asked = now_us();
  if (send(c->fd, request, (size_t)request_length, MSG_NOSIGNAL) != request_length) fail(c, "the request did not go out");
}

static void open_connection(Connection *c) {
  static const int yes = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
  to.sin_port = htons((uint16_t)wanted.port);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) {
    perror("load: no socket");
    exit(1);
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  c->state = CONNECTING;
  connect(c->fd, (struct sockaddr *)&to, sizeof to);
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void close_connection(Connection *c) {
  close(c->fd);
  c->fd = -1;
}

static void begin(Connection *c) { /* now, on the open connection or on a new one */
  if (c->fd >= 0) ask(c);
  else open_connection(c);
}

static void begin_or_wait(Connection *c) {
  if (wanted.answers && finished + wanted.connections > wanted.answers) {
    c->state = PAUSED;
    c->due = UINT64_MAX;
    return;
  }
  if (!wanted.rate) return begin(c);
  c->due += (uint64_t)(1e6 * wanted.connections / wanted.rate);
  c->state = PAUSED;
}

/* An answer is over: well, badly, or because this client leaves. */
static void over(Connection *c, const char *wrong) {
  finished++;
  if (wrong) fail(c, wrong);
  else {
    seen.answers++;
    record(&seen.whole, now_us() - c->asked);
  }
  if (!c->began) c->began = 1, beginners++;
  if (c->closes || wrong) close_connection(c);
  begin_or_wait(c);
}

/* Reading. */

static void chunk(Connection *c, const char *text, uint64_t now) {
  uint32_t sent = (uint32_t)strtoul(text, NULL, 16);
  c->chunks++;
  seen.chunks++;
  record(&seen.way, (uint32_t)((uint32_t)now - sent));
  if (c->chunks == 1) record(&seen.first, now - c->asked);
  else {
    record(&seen.gap, now - c->last);
    if (wanted.stall && now - c->last > wanted.stall) seen.stalls++;
  }
  c->last = now;
  if (!c->began) c->began = 1, beginners++;
  if (c->chunks == 1) held++;
}

static void line(Connection *c, const char *text, int length, uint64_t now) {
  static const char CONTENT[] = "\"content\":";
  if (length < 6 || memcmp(text, "data:", 5)) return;
  if (length < 20 && memmem(text, (size_t)length, "[DONE]", 6)) {
    c->done = 1;
    return;
  }
  const char *found = memmem(text, (size_t)length, CONTENT, sizeof CONTENT - 1);
  if (!found) return;
  found += sizeof CONTENT - 1;
  found += strspn(found, " ");
  if (found[0] == '"' && found[1] != '"') chunk(c, found + 1, now);
}

static void body(Connection *c, const char *bytes, int length, uint64_t now) {
  if (!wanted.streams) return;
  const char *at = bytes, *end = bytes + length;
  for (const char *stop; (stop = memchr(at, '\n', (size_t)(end - at))); at = stop + 1) {
    if (!c->line_length) {
      line(c, at, (int)(stop - at), now);
      continue;
    }
    int room = LINE - 1 - c->line_length, piece = (int)(stop - at) < room ? (int)(stop - at) : room;
    memcpy(c->line + c->line_length, at, (size_t)piece);
    line(c, c->line, c->line_length + piece, now);
    c->line_length = 0;
  }
  int rest = (int)(end - at) < LINE - 1 - c->line_length ? (int)(end - at) : LINE - 1 - c->line_length;
  memcpy(c->line + c->line_length, at, (size_t)rest);
  c->line_length += rest;
}

/* Takes the chunked encoding off; 1 at its end. */
static int dechunk(Connection *c, const char *at, const char *end, uint64_t now) {
  while (at < end) switch (c->part) {
      case SIZE: {
        int digit = *at >= '0' && *at <= '9' ? *at - '0' : (*at | 32) >= 'a' && (*at | 32) <= 'f' ? (*at | 32) - 'a' + 10 : -1;
        if (digit >= 0) c->left = c->left * 16 + digit, at++;
        else c->part = SIZE_LINE;
        break;
      }
      case SIZE_LINE:
        if (*at++ == '\n') c->part = c->left ? DATA : LAST;
        break;
      case DATA: {
        long piece = c->left < end - at ? c->left : end - at;
        body(c, at, (int)piece, now);
        at += piece;
        c->left -= piece;
        if (!c->left) c->part = DATA_END;
        break;
      }
      case DATA_END:
        if (*at++ == '\n') c->part = SIZE;
        break;
      case LAST:
        if (*at++ == '\n') return 1;
    }
  return 0;
}

/* Reads the head; where the body begins in the block, or NULL while the head is not whole. */
static const char *head(Connection *c, const char *bytes, int length) {
  int before = c->head_length, taken = length < HEAD - before ? length : HEAD - before;
  memcpy(c->head + before, bytes, (size_t)taken);
  c->head_length += taken;
  c->head[c->head_length] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (!end) return NULL;
  end[2] = 0;
  c->status = atoi(c->head + 9);
  const char *given = strcasestr(c->head, "\ncontent-length:");
  if (given) c->length = atol(given + 16);
  c->chunked = strcasestr(c->head, "\ntransfer-encoding: chunked") != NULL;
  c->closes = strcasestr(c->head, "\nconnection: close") != NULL;
  c->state = BODY;
  return bytes + (end + 4 - c->head - before);
}

static const char *wrong_with(Connection *c) {
  if (c->status != 200) return "the status is not 200";
  if (wanted.streams && !c->done) return "the stream ended without [DONE]";
  if (wanted.streams && wanted.expected >= 0 && c->chunks != wanted.expected) return "chunks are missing, or too many";
  return NULL;
}

static void readable(Connection *c) {
  static char block[BLOCK];
  ssize_t got = recv(c->fd, block, sizeof block, 0);
  uint64_t now = now_us();
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    if (c->state == PAUSED) return close_connection(c);
    int until_close = c->state == BODY && !c->chunked && c->length < 0;
    c->closes = 1;
    return over(c, until_close ? wrong_with(c) : "the connection was cut");
  }
  const char *at = block, *end = block + got;
  if (c->state == WAITING && !(at = head(c, block, (int)got))) return;
  if (c->state != BODY) return;
  int ended = 0;
  if (c->chunked) ended = dechunk(c, at, end, now);
  else {
    body(c, at, (int)(end - at), now);
    if (c->length >= 0) c->length -= end - at, ended = c->length <= 0;
  }
  if (ended) return over(c, wrong_with(c));
  if (wanted.leave_after && c->chunks >= wanted.leave_after) {
    seen.left++;
    c->closes = 1;
    over(c, NULL);
  }
}

static void ready(Connection *c, uint32_t events) {
  if (c->fd < 0) return;
  if (c->state != CONNECTING) return readable(c);
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error || events & EPOLLERR) {
    c->asked = now_us();
    return over(c, "no connection");
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
  ask(c);
}

/* The run. */

static void report(double cpu, uint64_t since) {
  printf("{\"seconds\":%.6f,\"cpu\":%.6f,\"answers\":%ld,\"failed\":%ld,\"left\":%ld,\"chunks\":%ld,\"stalls\":%ld,",
         (double)(now_us() - since) / 1e6, cpu_seconds() - cpu, seen.answers, seen.failed, seen.left, seen.chunks, seen.stalls);
  print_histogram("first", &seen.first);
  print_histogram("way", &seen.way);
  print_histogram("gap", &seen.gap);
  print_histogram("whole", &seen.whole);
  printf("\"failure\":\"%s\"}\n", seen.failure);
  fflush(stdout);
}

static void say(const char *what) {
  puts(what);
  fflush(stdout);
}

static void wait_for_leave(void) {
  while (getchar() != EOF) continue;
}

/* Opens the connections whose time has come, and asks on those whose pause is over. */
static int start_due(int opened, uint64_t now) {
  double share = wanted.rate ? 1e6 / wanted.rate : wanted.ramp * 1e6 / wanted.connections;
  for (int burst = 0; opened < wanted.connections && burst < 64; burst++) {
    uint64_t due = started + (uint64_t)(opened * share);
    if (due > now) break;
    all[opened].due = due;
    open_connection(&all[opened++]);
  }
  if (wanted.rate)
    for (int i = 0; i < opened; i++)
      if (all[i].state == PAUSED && all[i].due <= now) begin(&all[i]);
  return opened;
}

static void run(void) {
  struct epoll_event events[EVENTS];
  int opened = 0;
  uint64_t warm_until = 0;
  double cpu = cpu_seconds();
  window_began = started = now_us();
  for (;;) {
    uint64_t now = now_us();
    opened = start_due(opened, now);
    int count = epoll_wait(poller, events, EVENTS, opened < wanted.connections || wanted.rate ? 1 : 10);
    for (int i = 0; i < count; i++) ready(events[i].data.ptr, events[i].events);
    now = now_us();
    if (wanted.answers && finished >= wanted.answers) break;
    if (wanted.hold && held >= wanted.connections) {
      say("begin");
      break;
    }
    if (!wanted.window) continue;
    if (!warm_until && beginners >= wanted.connections) warm_until = now + (uint64_t)(wanted.warm * 1e6);
    if (!window_open && warm_until && now >= warm_until) {
      window_open = 1;
      say("begin");
      memset(&seen, 0, sizeof seen);
      cpu = cpu_seconds();
      window_began = now_us();
    }
    if (window_open && now >= window_began + (uint64_t)(wanted.window * 1e6)) break;
  }
  report(cpu, window_began);
  if (wanted.hold || wanted.window) wait_for_leave();
}

static void read_options(int count, char **words) {
  for (int option; (option = getopt(count, words, "p:b:u:H:c:sn:d:w:q:r:e:g:a:fo")) > 0;) switch (option) {
      case 'p': wanted.port = atoi(optarg); break;
      case 'b': wanted.body = optarg; break;
      case 'u': wanted.path = optarg; break;
      case 'H':
        strncat(wanted.head, optarg, sizeof wanted.head - strlen(wanted.head) - 3);
        strcat(wanted.head, "\r\n");
        break;
      case 'c': wanted.connections = atoi(optarg); break;
      case 's': wanted.streams = 1; break;
      case 'n': wanted.answers = atol(optarg); break;
      case 'd': wanted.window = atof(optarg); break;
      case 'w': wanted.warm = atof(optarg); break;
      case 'q': wanted.rate = atof(optarg); break;
      case 'r': wanted.ramp = atof(optarg); break;
      case 'e': wanted.expected = atol(optarg); break;
      case 'g': wanted.stall = (uint64_t)atol(optarg); break;
      case 'a': wanted.leave_after = atoi(optarg); break;
      case 'f': wanted.may_fail = 1; break;
      case 'o': wanted.hold = 1; break;
      default: exit(2);
    }
}

int main(int count, char **words) {
  struct rlimit files = {32768, 32768};
  signal(SIGPIPE, SIG_IGN);
  setrlimit(RLIMIT_NOFILE, &files);
  read_options(count, words);
  request_length = snprintf(request, sizeof request,
                            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nAccept: */*\r\n"
                            "%sContent-Length: %zu\r\n\r\n%s",
                            wanted.path, wanted.port, wanted.head, strlen(wanted.body), wanted.body);
  poller = epoll_create1(0);
  all = calloc((size_t)wanted.connections, sizeof *all);
  for (int i = 0; i < wanted.connections; i++) {
    all[i].fd = -1;
    all[i].head = malloc(HEAD + 1);
    all[i].line = malloc(LINE);
  }
  run();
  return seen.failed && !wanted.may_fail;
}
