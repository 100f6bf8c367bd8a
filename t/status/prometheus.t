# A real Prometheus, with the configuration and the rules of docs/status.md, reads
# the page, and finds what requests have caused.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Server;
use JSON::PP ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep);

my ($port, $api) = @Jelou::Port{qw(SERVER PORT_1)};

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
jelou_status_zone  zone=counters:64k;
jelou_dedup_zone   "zone=a\\"b\\\\c\xc3\xa9\nd:32k";

server {
    listen  127.0.0.1:$port;

    jelou_secret  "$Jelou::Secret";

    location = /in {
        jelou_endpoint  incoming_message;
    }
    location = /metrics {
        jelou_status  prometheus;
    }
}
END

my $dir = "$nginx->{dir}/prometheus";

mkdir $dir or die "$dir: $!\n";

my $doc = Jelou::Server::slurp('docs/status.md');
my ($scrape, $rules) = $doc =~ /^```yaml\n(.*?)^```$/msg;

my @queries = map { split /\n/ } $doc =~ /^```promql\n(.*?)^```$/ms;

# The document's, of this nginx, and often

$scrape =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/ or die "no target\n";
$scrape =~ s/15s/1s/ or die "no interval\n";

Jelou::Server::spew("$dir/rules.yml", $rules);
Jelou::Server::spew("$dir/prometheus.yml",
                    "global:\n  evaluation_interval: 1s\n"
                    . "rule_files:\n  - rules.yml\n$scrape");

my $said = `promtool check config $dir/prometheus.yml 2>&1`;

is($?, 0, 'promtool takes configuration and rules') or diag($said);

is(Jelou::Load::ask($port, post(event(id => qq("m-$_")), path => '/in'))->{status},
   200, "message $_") for 1 .. 7;
is(Jelou::Load::ask($port, post(event(), path => '/in', secret => 'wrong'))
   ->{status}, 401, 'a wrong signature');

my $pid = fork // die "fork: $!\n";

if ($pid == 0) {
    open STDOUT, '>', "$dir/log";
    open STDERR, '>&STDOUT';
    exec 'prometheus', "--config.file=$dir/prometheus.yml",
         "--storage.tsdb.path=$dir/data", '--log.level=warn',
         "--web.listen-address=127.0.0.1:$api"
        or POSIX::_exit(127);
}

END {
    local $?;

    if ($pid) {
        kill TERM => $pid;
        Jelou::Server::reap($pid, 5) or kill KILL => $pid;
    }
}

# ask(PATH, PARAMETERS): the data of Prometheus' answer, or undef

sub ask {
    my ($path, @parameters) = @_;

    open my $in, '-|', 'curl', '-sS', '-m', 5, '--noproxy', '*', '-G',
        (map { ('--data-urlencode', $_) } @parameters),
        "http://127.0.0.1:$api/api/v1/$path", '--stderr', '/dev/null'
        or die "curl: $!\n";

    my $json = do { local $/; <$in> } // '';
    my $answer = eval { JSON::PP->new->utf8->decode($json) } // return undef;

    return $answer->{status} eq 'success' ? $answer->{data} : undef;
}

# value(QUERY): of the one sample there is

sub value {
    my $data = ask('query', "query=$_[0]") // return '';

    return join ' ', map { $_->{value}[1] } @{ $data->{result} };
}

$nginx->wait_for('Prometheus has read the page', sub {
    value('nginx_jelou_requests_total{endpoint="incoming_message",'
          . 'result="accepted"}') ne '';
}, 40);

my %want = (
    'nginx_jelou_requests_total{endpoint="incoming_message",result="accepted"}' => 7,
    'nginx_jelou_requests_total{endpoint="incoming_message",'
        . 'result="signature_mismatch"}' => 1,
    'sum(nginx_jelou_requests_total)' => 8,
    'sum(nginx_jelou_accepted_messages_total{type="text"})' => 7,
    'nginx_jelou_secret_matches_total{endpoint="incoming_message",secret="1"}' => 7,
    'sum(nginx_jelou_processing_seconds_count)' => 8,
    'nginx_jelou_processing_seconds_bucket{endpoint="incoming_message",le="+Inf"}'
        => 8,
    qq(nginx_jelou_dedup_entries{zone="a\\"b\\\\c\xc3\xa9\\nd"}) => 0,
    'nginx_jelou_info' => 1,
    'up{job="jelou"}' => 1,
);

is(value($_), $want{$_}, $_) for sort keys %want;

cmp_ok(scalar @queries, '>=', 4, 'the queries of the document are found');
isnt(ask('query', "query=$_"), undef, "Prometheus takes: $_") for @queries;

my $targets = ask('targets')->{activeTargets};

is(scalar @$targets, 1, 'one target');
is($targets->[0]{lastError}, '', 'which is read without an error');

my $metadata = ask('metadata');

for my $name (sort grep { /^nginx_jelou/ } keys %$metadata) {
    ok($metadata->{$name}[0]{help}, "$name: its help")
}

is(scalar(grep { /^nginx_jelou/ } keys %$metadata), 13, 'all metrics are known');

# The rules have been evaluated, on what is there

my @rules;

$nginx->wait_for('the rules are evaluated', sub {
    @rules = map { @{ $_->{rules} } } @{ ask('rules')->{groups} };
    @rules && !grep { $_->{health} eq 'unknown' } @rules;
}, 20);

cmp_ok(scalar @rules, '>=', 7, 'the rules are loaded');
is(join(' ', map { "$_->{name}: $_->{lastError}" } grep { $_->{health} ne 'ok' }
                 @rules), '', 'and each can be evaluated');

kill TERM => $pid;
ok(Jelou::Server::reap($pid, 10), 'Prometheus exits');
$pid = 0;

$nginx->stop;
