#!/bin/sh
#
# Tries the container in a chroot, as root: util/fresh.sh calls it there.  The steps
# are those of the Containerfile, with the nginx that the system has; then nginx runs
# as another user, on a root file system that is read-only, with the secret in a
# mount.

set -eu

die() { echo "containers/test.sh: $*" >&2; exit 1; }
ok() { echo "ok: $*"; }

cd "$(dirname "$0")/.."

sh containers/build.sh /usr/share/nginx/src /out >/tmp/build.log 2>&1 ||
    { tail /tmp/build.log; die "the module does not build"; }
cp -R /out/. /
cp containers/nginx.conf /etc/nginx/nginx.conf
echo '127.0.0.1 app redis' >>/etc/hosts

nginx -t -q -c /usr/share/jelou/load.conf || die "the module does not load"
ok "the module is built and loads"

# What the application gets is in its output.

mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/secrets
mount -t tmpfs -o mode=755 tmpfs /run/secrets
echo 'the-first-secret-of-the-test' >/run/secrets/jelou.secrets
chown 0:101 /run/secrets/jelou.secrets
chmod 440 /run/secrets/jelou.secrets
mount -o remount,bind,ro /

! touch /etc/x 2>/dev/null || die "the root file system can be written to"

user="setpriv --reuid 101 --regid 101 --clear-groups --no-new-privs"

install -o 101 -g 101 -m 644 /dev/null /tmp/log
# shellcheck disable=SC2016
$user perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(LocalPort => 3000, Listen => 9, ReuseAddr => 1)
        or die;
    while (my $c = $s->accept) {
        my $n = 0;
        while (<$c>) { $n = $1 if /^Content-Length: (\d+)/i; last if /^\r/ }
        read $c, my $event, $n;
        syswrite STDOUT, "$event\n";
        print $c "HTTP/1.0 204 No Content\r\n\r\n";
    }' >/tmp/events &

JELOU_RELOAD_INTERVAL=1 $user sh -c \
    '. containers/reload.sh; exec nginx -g "daemon off;"' >>/tmp/log 2>&1 &

for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    curl -fsS -o /dev/null http://127.0.0.1:8081/healthz 2>/dev/null && break
    sleep 0.5
done

[ "$(curl -sS http://127.0.0.1:8081/healthz)" = ok ] ||
    { cat /tmp/log; die "the health check fails"; }
ok "nginx runs as uid $(stat -c %u "/proc/$(cat /tmp/nginx.pid)"), and is healthy"

send() {
    printf '%s\n' "$1" >/tmp/secret
    sh util/jelou-send --json --secret-file /tmp/secret --count 1 message \
        http://127.0.0.1:8080/jelou/webhook || true
}

send the-first-secret-of-the-test | grep -q '"status":200' ||
    { cat /tmp/log; die "a signed message is not accepted"; }
grep -q '"event_type":"message"' /tmp/events || die "the application has no event"
ok "a signed message reaches the application"

send another-secret-of-the-test | grep -q '"status":401' || die "any secret is good"
ok "a wrong signature is refused"

grep -q '"result":"accepted"' /tmp/log || die "the log has no request"
! grep -q 'others can read' /tmp/log || die "nginx warns of the secret's mode"
curl -sS http://127.0.0.1:8081/metrics >/tmp/metrics
grep -q '^nginx_jelou_' /tmp/metrics ||
    die "there are no metrics"
ok "log and metrics are there"

echo 'the-second-secret-of-the-test' >/run/secrets/jelou.secrets

for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    send the-second-secret-of-the-test | grep -q '"status":200' && break
    sleep 0.5
done

send the-second-secret-of-the-test | grep -q '"status":200' ||
    { cat /tmp/log; die "a new secret is not known"; }
ok "a new secret is known without a restart"

: >/run/secrets/jelou.secrets

for _ in 1 2 3 4 5 6 7 8 9 10; do
    grep -q 'nginx refuses it' /tmp/log && break
    sleep 0.5
done

grep -q 'nginx refuses it' /tmp/log || die "an empty secret file is not noticed"
send the-second-secret-of-the-test | grep -q '"status":200' ||
    die "a bad secret file stops nginx"
ok "nginx goes on when the new file is bad"

kill -QUIT "$(cat /tmp/nginx.pid)"
