#!/usr/bin/perl
#
# Makes a section of docs/benchmarks.md of what queue.sh has measured:
#
#     queue.pl RESULTS [FILE]
#
# Prints it, or puts it into the file, in the place of the one that is there.
# With BUSY=1 it has processor times only: on a machine that does other work
# requests a second and latencies say nothing.

use strict;
use utf8;
use warnings;

my $busy = $ENV{BUSY};

my ($results, $file) = @ARGV;
my (%of, %instructions);

open my $in, '<', $results or die "$results: $!\n";

while (<$in>) {
    chomp;
    my @f = split /\t/;

    if ($f[0] eq 'instructions') {
        $instructions{$f[1]} = $f[2];
        next;
    }

    my ($label, $conns, $pause, $n, $seconds, $p50, $p99, $worker, $redis) = @f;

    push @{ $of{"$conns/$pause"}{$label} }, {
        rate => $n / $seconds, p50 => $p50, p99 => $p99,
        worker => $worker / 1e3 / $n, redis => $redis / 1e3 / $n };
}

sub median { my @v = sort { $a <=> $b } @_; return $v[$#v / 2] }

sub value {
    my ($load, $label, $what) = @_;

    return median(map { $_->{$what} } @{ $of{$load}{$label} });
}

# the median of each round's ratio

sub ratio {
    my ($load, $one, $two, $what) = @_;
    my ($x, $y) = @{ $of{$load} }{$one, $two};

    return median(map { $x->[$_]{$what} / $y->[$_]{$what} } 0 .. $#$x);
}

sub thousands { my $n = sprintf '%.0f', $_[0]; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n }

my %name = (
    plain => 'bare `proxy_pass`', jelou => 'jelou, `proxy_pass`',
    queue => '`jelou_redis_pass`, `jelou_redis_dedup`', xadd => '`jelou_redis_pass` alone',
    tls => 'the first of these, with TLS', before => 'one connection for each event, before',
);

my @labels = grep { $instructions{$_} } qw(plain jelou queue xadd tls before);

sub table {
    my ($head, @rows) = @_;

    my @width = map { my $i = $_; (sort { $b <=> $a } map { length $_->[$i] } $head, @rows)[0] }
                0 .. $#$head;
    my $line = sub {
        my @cells = @_;
        return '| ' . join(' | ', map {
            $_ ? sprintf("%*s", $width[$_], $cells[$_]) : sprintf("%-*s", $width[$_], $cells[$_])
        } 0 .. $#cells) . " |\n";
    };

    return $line->(@$head) . '|' . join('|', map {
        '-' x ($width[$_] + 1) . ($_ ? ':' : '-')
    } 0 .. $#width) . "|\n" . join '', map { $line->(@$_) } @rows;
}

sub load_table {
    my $load = shift;

    my @rows = map {
        my $label = $_;

        [$name{$label}, sprintf('%.1f', value($load, $label, 'worker')),
         sprintf('%.2f', ratio($load, $label, 'plain', 'worker')),
         $label =~ /^(?:plain|jelou)$/ ? '' : sprintf('%.1f', value($load, $label, 'redis')),
         $busy ? () : map { thousands(value($load, $label, $_)) } qw(rate p50 p99)]
    } @labels;

    return table(['', 'worker µs', '× plain', 'Redis µs',
                  $busy ? () : ('requests/s', 'p50 µs', 'p99 µs')], @rows);
}

sub alone_and_paced {
    return "One connection, which sends the next event when the last one is answered:\n\n"
           . load_table('1/0')
           . "\n64 connections, each of which waits 8 ms before it sends the next one:\n\n"
           . load_table('64/8');
}

my $goals = '';

if ($of{'16/0'}{before}) {
    my @goals;

    for my $n (16, 64) {
        push @goals,
            ["$n connections: worker, queue / plain", ratio("$n/0", qw(queue plain worker)), '≤', 1],
            ["$n connections: Redis, queue / before", ratio("$n/0", qw(queue before redis)), '≤', 0.6];

        next if $busy;

        push @goals, ["$n connections: requests a second, queue / before",
                      ratio("$n/0", qw(queue before rate)), '≥', 1.8];
    }

    push @goals, ['one connection: requests a second, queue / before',
                  ratio('1/0', qw(queue before rate)), '≥', 1],
                 ['at one rate: p99, queue / before', ratio('64/8', qw(queue before p99)), '≤', 1]
        if !$busy;

    $goals = "\n" . table(['', 'goal', 'measured', 'reached'], map {
        my ($what, $value, $sign, $limit) = @$_;

        [$what, "$sign $limit", sprintf('%.2f', $value),
         ($sign eq '≤' ? $value <= $limit : $value >= $limit) ? 'yes' : '**no**']
    } @goals);
}

my $note = $busy ? <<'END' : '';

The machine was busy with other work in this run, so that requests a second and latencies are left
out. A worker that has to wait for its core gets its events in smaller numbers at a time, and so does
Redis; that costs both more.
END

my $text = <<"END";
## The queue

An event of 353 bytes, new each time, on its way into Redis, beside the same request that a
bare `proxy_pass` passes on: `sh util/bench/queue.sh --write` measures it in one run, and
writes this section. The worker has a core for itself; Redis, the origin and the load
generator share the other one, so that requests a second are bounded by them as well. Times are
processor time for one event. Before this version, each event in flight had a connection to
Redis of its own.
$note$goals
Instructions of the worker for one event, alone on a connection:

@{[table(['', 'instructions'], map { [$name{$_}, thousands($instructions{$_})] } @labels)]}
16 connections:

@{[load_table('16/0')]}
64 connections:

@{[load_table('64/0')]}
@{[$busy ? q() : alone_and_paced()]}
END

$text =~ s/\n+\z/\n/;

if (!defined $file) {
    binmode STDOUT, ':utf8';
    print $text;
    exit;
}

open my $old, '<:utf8', $file or die "$file: $!\n";
my $page = do { local $/; <$old> };

$page =~ s/^## The queue\n.*?(?=^###? )/$text\n/ms or die "$file: no section\n";

open my $out, '>:utf8', $file or die "$file: $!\n";
print {$out} $page;
close $out or die "$file: $!\n";
