# docs/grafana.json: a dashboard that Grafana can import, with no metric and no label
# that the module has not; promtool reads its queries.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use JSON::PP ();

my $port  = $Jelou::Port{SERVER};
my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $nginx = Jelou::Server->start(name => 'front', level => 'warn', http => <<"END");
jelou_status_zone  zone=counters:1m;
jelou_dedup_zone   zone=seen:1m;

server {
    listen  127.0.0.1:$port;

    location = $Jelou::Path {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        jelou_dedup     zone=seen;
    }
    location = /queue {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    127.0.0.1:$Jelou::Port{PORT_1};
        jelou_redis_stream  events;
    }
    location \@deliver {
        jelou_deliver  127.0.0.1:$Jelou::Port{PORT_1}  stream=events  group=app;
        proxy_pass     http://127.0.0.1:$Jelou::Port{DOWN};
    }
    location = /metrics {
        jelou_status  prometheus;
    }
}
END

Jelou::Load::ask($port, post(event()));

# metric => its labels, as the page has them

my (%metric, %type, @results);

$nginx->wait_for('the request is counted', sub {
    my $page = Jelou::Load::ask($port, "GET /metrics HTTP/1.1\r\nHost: x\r\n"
                                       . "Connection: close\r\n\r\n")->{body};

    %type = $page =~ /^# TYPE (\w+) (\w+)$/mg;

    while ($page =~ /^(nginx_\w+)(?:\{(.*)\})? /mg) {
        my ($name, $labels) = ($1, $2 // '');

        $metric{$name} //= {};
        $metric{$name}{$_} = 1 for $labels =~ /(\w+)="/g;
    }

    @results = $page =~ /_requests_total\{.*result="(\w+)"/g;

    return $page =~ /_secret_matches_total\{.*\} 1$/m && $page =~ /_delivery_owned\{/
        && $page =~ /_group_lag\{/;
}, 30);

$nginx->stop;
$redis->stop;

my $text = Jelou::Server::slurp('docs/grafana.json');
my $json = JSON::PP->new->utf8->decode($text);

my @panels = @{ $json->{panels} };
my %ids    = map { $_->{id} => 1 } @panels;

cmp_ok(scalar @panels, '>=', 20, 'panels');
is(scalar keys %ids, scalar @panels, 'each has its id');

# The data source is asked for when the dashboard is imported.

my ($source) = grep { $_->{type} eq 'datasource' } @{ $json->{templating}{list} };

is("$source->{name} $source->{query}", 'datasource prometheus', 'a data source to choose');

my (@uids, @queries);

sub walk {
    my ($node) = @_;

    if (ref $node eq 'HASH') {
        push @uids, $node->{uid} if ref $node && exists $node->{uid} && $node->{type};
        push @queries, $node->{expr} if defined $node->{expr};
        walk($_) for values %$node;

    } elsif (ref $node eq 'ARRAY') {
        walk($_) for @$node;
    }
}

walk({ panels => \@panels, variables => $json->{templating} });

is_deeply([grep { $_ ne '${datasource}' } @uids], [], 'no other one is named');
cmp_ok(scalar @queries, '>=', 25, 'queries');

# Panels do not overlap.

my (%taken, @overlap);

for my $panel (@panels) {
    my ($x, $y, $w, $h) = @{ $panel->{gridPos} }{qw(x y w h)};

    for my $column ($x .. $x + $w - 1) {
        push @overlap, $panel->{title} if $column > 23;
        $taken{"$column $_"}++ && push @overlap, $panel->{title} for $y .. $y + $h - 1;
    }
}

is_deeply(\@overlap, [], 'panels do not overlap');

# Metrics and labels: those of the module, and those that Prometheus adds.

my %added = map { $_ => 1 } qw(instance job);
my %asked;

for my $query (@queries, map { $_->{query}{query} // () }
               grep { ref $_->{query} } @{ $json->{templating}{list} })
{
    while ($query =~ /\b(nginx_\w+)(?:\{(.*?)\}|,\s*(\w+)\))?/g) {
        my ($name, $labels, $label) = ($1, $2 // '', $3);
        my $known = $metric{$name};

        $asked{$name} = 1;
        ok($known, "the metric $name") or next;

        is_deeply([grep { !$known->{$_} && !$added{$_} }
                   ($labels =~ /(\w+)[!=]/g), $label // ()], [],
                  "its labels in $query");

        my $counter = ($type{$name} // 'histogram') =~ /^(?:counter|histogram)$/;

        is($query =~ /(?:rate|increase)\(\Q$name\E/ ? 'over time' : 'now',
           $counter ? 'over time' : 'now', "how it is read in $query")
            if !defined $label;
    }

    while ($query =~ /by \(([\w, ]+)\) \((?:rate\(|increase\(|(?=nginx))(\w+)/g) {
        my ($by, $name) = ($1, $2);

        is_deeply([grep { !$metric{$name}{$_} } split /, /, $by], [], "by $by");
    }

    while ($query =~ /_requests_total\{[^}]*result!?=~?"([^"]+)"/g) {
        my $named = $1;

        is_deeply([grep { my $r = $_; !grep { $_ eq $r } @results } split /\|/, $named],
                  [], "the results $named");
    }
}

is_deeply([sort keys %asked],
          [sort grep { !/_(?:sum|count)$/ } keys %metric], 'all metrics are shown');

# promtool: the queries as recording rules, with Grafana's variables filled in

my $n = 0;

my $rules = Jelou::Server::spew("$Jelou::Dir/$Jelou::Name.rules.yml",
    "groups:\n- name: dashboard\n  rules:\n" . join '', map {
        my $query = s/\$__rate_interval/5m/gr =~ s/\$\w+/.*/gr;

        "  - record: query" . ++$n . "\n    expr: "
            . JSON::PP->new->allow_nonref->encode($query) . "\n"
    } @queries);

my $said = `promtool check rules $Jelou::Dir/$Jelou::Name.rules.yml 2>&1`;

is($?, 0, 'promtool reads the queries') or diag($said);
like($said, qr/\b$n rules found/, 'all of them');
