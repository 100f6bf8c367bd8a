#!/usr/bin/perl
#
# Makes tables of what run.sh has measured:
#
#     report.pl [--sign] DIRECTORY [DOCS]
#
# prints them or, with DOCS, writes benchmarks.md and benchmarks.svg there.  With
# --sign, there is nothing but what run.sh --sign has measured.

use strict;
use utf8;
use warnings;

use Text::Wrap qw(wrap);

my $sign_only = @ARGV && $ARGV[0] eq '--sign' && shift;
my ($dir, $docs) = @ARGV;

my @paths = qw(plain jelou raw lua njs);
my @sizes = (353, 4096, 65536, 524288);

my %label = (353 => '353 bytes', 4096 => '4 KB', 65536 => '64 KB',
             524288 => '512 KB');

my (%time, %instructions, %floor, %floor_ns, %memory, %profile, %machine,
    @machine);
my $growth;

sub rows {
    my ($file) = @_;

    open my $in, '<:utf8', "$dir/$file" or die "$dir/$file: $!\n";
    return map { chomp; [split /\t/] } <$in>;
}

# what callgrind calls an object, in words; what is compiled at run time has none

sub library {
    my ($object) = @_;

    return $object =~ /^ngx_http_jelou/   ? 'this module'
         : $object =~ /^libcrypto/        ? 'OpenSSL'
         : $object =~ /^libyajl/          ? 'yajl'
         : $object eq 'nginx'             ? 'nginx'
         : $object =~ /^(libc|libm|ld-)/  ? 'the C library'
         : $object =~ /^libhiredis/       ? 'hiredis'
         : $object =~ /^(liblua|ngx_http_lua|ndk|\?)/
                                          ? 'Lua, cjson and lua-nginx-module'
         : $object =~ /js/                ? 'njs'
         :                                  'other libraries';
}

sub median {
    my @sorted = sort { $a <=> $b } @_;

    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

for (rows('machine.tsv')) {
    my ($name, $value) = @$_;

    $machine{$name} = $value;
    push @machine, "| $name | $value |\n" if $name ne 'ticks';
}

for (rows('results.tsv')) {
    my ($kind, @row) = @$_;

    if ($kind eq 'instructions') {
        $instructions{$row[0]}{$row[1]} = $row[2];

    } elsif ($kind eq 'profile') {
        $profile{ library($row[1]) }{$row[0]} += $row[2];

    } elsif ($kind eq 'floor') {
        ($floor{$row[1]}{$row[0]}, $floor_ns{$row[1]}{$row[0]}) = @row[2, 3];

    } elsif ($kind eq 'memory') {
        my $path = shift @row;
        $memory{$path} = { start => $row[0], peak => $row[1],
                           after => $row[2], again => $row[3] };

    } elsif ($kind eq 'growth') {
        $growth = $row[0];

    } elsif ($kind eq 'time') {
        my ($path, $body, undef, $user, $system, $n, $for, $p50, $p99) = @row;

        my $tick = 1e6 / $machine{ticks} / $n;      # us a request

        push @{ $time{$path}{$body}{user} }, $user * $tick;
        push @{ $time{$path}{$body}{system} }, $system * $tick;
        push @{ $time{$path}{$body}{cpu} }, ($user + $system) * $tick;
        push @{ $time{$path}{$body}{rate} }, $n / $for;
        push @{ $time{$path}{$body}{p50} }, $p50;
        push @{ $time{$path}{$body}{p99} }, $p99;
        push @{ $time{$path}{$body}{busy} },
            100 * ($user + $system) / $machine{ticks} / $for;
    }
}

# the median of the rounds; a ratio is the median of the rounds' ratios

sub t {
    my ($path, $body, $what) = @_;
    return median(@{ $time{$path}{$body}{$what} });
}

sub ratio {
    my ($one, $two) = @_;

    my @one = @{ $time{ $one->[0] }{ $one->[1] }{cpu} };
    my @two = @{ $time{ $two->[0] }{ $two->[1] }{cpu} };

    return median(map { $one[$_] / $two[$_] } 0 .. $#one);
}

sub table {
    my ($head, @rows) = @_;

    my @width = map { length } @$head;

    for my $row (@rows) {
        for (0 .. $#$row) {
            $width[$_] = length $row->[$_] if length $row->[$_] > $width[$_];
        }
    }

    my $line = sub {
        my ($row) = @_;

        return '| ' . join(' | ', map {
            sprintf $_ ? "%$width[$_]s" : "%-$width[$_]s", $row->[$_]
        } 0 .. $#$row) . " |\n";
    };

    return $line->($head)
        . '|' . join('|', map { $_ ? '-' x ($width[$_] + 1) . ':'
                                   : '-' x ($width[$_] + 2) } 0 .. $#$head)
        . "|\n" . join '', map { $line->($_) } @rows;
}

sub thousands {
    my ($n) = @_;

    $n = sprintf '%.0f', $n;
    1 while $n =~ s/^(-?\d+)(\d{3})/$1,$2/;

    return $n;
}

sub f { return sprintf "%.$_[0]f", $_[1] }

sub name {
    my ($path) = @_;

    return $path if $path !~ /raw|dedup|return|sign/;
    return { raw => 'jelou raw', dedup => 'jelou', return => 'return 401',
             sign => 'jelou, signing' }->{$path};
}

# the ratio is to proxy_pass with BASE

sub time_row {
    my ($path, $body, $name, $base) = @_;

    $base //= $body =~ /\d/ ? $body : 353;

    return [$name, f(1, t($path, $body, 'cpu')),
            f(1, t($path, $body, 'user')) . ' + '
            . f(1, t($path, $body, 'system')),
            f(2, ratio([$path, $body], ['plain', $base])),
            thousands(t($path, $body, 'rate')),
            thousands(t($path, $body, 'p50')),
            thousands(t($path, $body, 'p99')),
            f(0, t($path, $body, 'busy')) . ' %'];
}

my @time_head = ('', 'µs', 'user + system', '× plain', 'requests/s',
                 'p50 µs', 'p99 µs', 'worker busy');

sub time_tables {
    my $text = '';

    for my $size (@sizes) {
        $text .= "\n**$label{$size}**\n\n"
            . table([@time_head], map { time_row($_, $size, name($_)) } @paths);
    }

    return $text;
}

sub added {
    my ($path, $size) = @_;
    return $instructions{$path}{$size} - $instructions{plain}{$size};
}

sub instruction_tables {
    my $text = '';

    for my $size (@sizes) {
        my $floor = $floor{$size}{both};

        $text .= "\n**$label{$size}**\n\n" . table(
            ['', 'instructions', 'over plain', '× plain', '× floor'],
            (map {
                [name($_), thousands($instructions{$_}{$size}),
                 thousands(added($_, $size)),
                 f(2, $instructions{$_}{$size} / $instructions{plain}{$size}),
                 f(2, added($_, $size) / $floor)]
            } @paths),
            ['floor', '', thousands($floor), '', '1.00']);
    }

    return $text;
}

sub profile_table {
    my @columns = grep { $instructions{$_} } qw(jelou raw sign lua njs);
    my %most;

    for my $name (keys %profile) {
        ($most{$name}) = sort { $b <=> $a }
            map { $profile{$name}{$_} // 0 } @columns;
    }

    return table(
        ['', map { name($_) } @columns],
        map {
            my $name = $_;

            [$name, map { thousands($profile{$name}{$_} // 0) } @columns]
        } sort { $most{$b} <=> $most{$a} } grep { $most{$_} } keys %profile);
}

# Hostile bodies: what each takes of what a text does that is sent likewise, without
# what yajl takes, that, and memory; the twelve that take most in all

sub hostile_table {
    my (%cost, %text);

    for my $what ('instructions', 'memory') {
        open my $in, '<', "$dir/hostile.$what" or die "$dir/hostile.$what: $!\n";

        while (<$in>) {
            my ($kind, $name, $text, $all, $yajl) = split;

            $cost{$what}{$kind}{$name} = [$all, $yajl // 0];
            $text{$name} = $text;
        }
    }

    # parts(WHAT, KIND, NAME): ours, and yajl's

    my $parts = sub {
        my ($what, $kind, $name) = @_;

        my ($all, $yajl) = @{ $cost{$what}{$kind}{$name} };
        my $base = $cost{$what}{$kind}{$text{$name}}[0];

        return (($all - $yajl) / $base, $yajl / $base);
    };

    my %total = map {
        my ($ours, $yajl) = $parts->('instructions', 'strict', $_);
        ($_ => $ours + $yajl);
    } keys %text;

    my @names = (sort { $total{$b} <=> $total{$a} || $a cmp $b } keys %total)[0 .. 11];

    return table(
        ['', 'signed', 'strict', 'unsigned', 'memory'],
        map {
            my $name = $_;

            [$name, (map { sprintf '%.2f + %.2f',
                                   $parts->('instructions', $_, $name) }
                         qw(signed strict unsigned)),
             sprintf '%.2f', ($parts->('memory', 'signed', $name))[0]]
        } 'text', @names);
}

# yajl's instructions for a byte of the body that it takes most for

sub hostile_yajl {
    open my $in, '<', "$dir/hostile.instructions" or die "$dir: $!\n";

    my ($yajl) = map { /^unsigned numbers \S+ \d+ (\d+)/ } <$in>;

    return sprintf '%.0f', $yajl / -s "$dir/numbers.json";
}

# why a goal is not reached, in the figures of this run

sub reasons {
    my @text;

    my $plain = t('plain', 353, 'cpu');
    my $jelou = t('jelou', 353, 'cpu');
    my $floor = $floor_ns{353}{both} / 1000;
    my $reach = sub { f(2, t($_[0], 353, 'cpu') / ($plain + $floor)) };

    push @text, <<"END" if ratio(['lua', 353], ['jelou', 353]) < 1.4;
- **lua / jelou.** Both call the same OpenSSL, keep a keyed context and have a
  parser in C, so that they differ little on 353 bytes. If the module did only one
  HMAC and one bare parse (@{[f(1, $floor)]} µs more than `plain`), the ratio would
  be @{[$reach->('lua')]}. If the module did nothing at all, it would be
  @{[f(2, t('lua', 353, 'cpu') / $plain)]}. With 4 KB the ratio is
  @{[f(2, ratio(['lua', 4096], ['jelou', 4096]))]}, with 64 KB
  @{[f(2, ratio(['lua', 65536], ['jelou', 65536]))]}.
END

    push @text, <<"END" if ratio(['njs', 353], ['jelou', 353]) < 2.5;
- **njs / jelou.** With the floor in place of the module, the ratio would be
  @{[$reach->('njs')]}. With 4 KB the ratio is
  @{[f(2, ratio(['njs', 4096], ['jelou', 4096]))]}.
END

    push @text, <<"END" if ratio(['redis', 353], ['jelou', 353]) > 1.15;
- **redis / jelou.** Of the
  @{[thousands($instructions{redis}{353} - $instructions{jelou}{353})]} instructions
  more, OpenSSL has @{[thousands($profile{OpenSSL}{redis})]}, for the digests of body
  and key. One Redis answers more slowly than the origin, so that the worker gets fewer
  events at a time. With 4 KB the ratio is
  @{[f(2, ratio(['redis', 4096], ['jelou', 4096]))]}.
END

    push @text, <<"END" if ratio(['sign', 'missing'], ['plain', 'missing']) > 1.25;
- **signing / plain.** Signing needs one parse and one HMAC, like verifying: of the
  @{[thousands($instructions{sign}{missing} - $instructions{plain}{missing})]}
  instructions over `plain`, OpenSSL and yajl have
    @{[thousands($profile{OpenSSL}{sign} + $profile{yajl}{sign})]}. Verifying takes
  @{[thousands(added('jelou', 353))]}, and
  @{[f(2, ratio(['jelou', 353], ['plain', 353]))]} times the processor time.
END

    push @text, <<"END" if ratio(['jelou', 353], ['plain', 353]) > 1.25;
- **jelou / plain.** The floor alone is @{[f(2, ($plain + $floor) / $plain)]}.
END

    return '' if !@text;
    local $Text::Wrap::columns = 92;

    return "\nWhat is not reached, and why:\n\n"
        . join('', map { wrap('', '  ', split) . "\n" } @text)
        . "\n[Where the instructions go](#where-the-instructions-go) shows it by "
        . "library.\n";
}

sub floor_table {
    return table(
        ['', 'HMAC', 'yajl', 'both', 'HMAC ns', 'yajl ns', 'both ns'],
        map {
            my $size = $_;

            [$label{$size},
             (map { thousands($floor{$size}{$_}) } qw(hmac yajl both)),
             (map { thousands($floor_ns{$size}{$_}) } qw(hmac yajl both))]
        } @sizes);
}

my @refusals = (
    ['return', 'missing', 'return 401'],
    ['jelou', 'missing', 'jelou, no signature'],
    ['lua', 'missing', 'lua, no signature'],
    ['njs', 'missing', 'njs, no signature'],
    ['jelou', 'wrong', 'jelou, wrong signature'],
    ['lua', 'wrong', 'lua, wrong signature'],
    ['njs', 'wrong', 'njs, wrong signature'],
    ['dedup', '353', 'jelou, a duplicate'],
);

sub refusal_table {
    return table(
        [@time_head, 'instructions'],
        map {
            [@{ time_row(@$_) }, thousands($instructions{ $_->[0] }{ $_->[1] })]
        } @refusals);
}

my @sign = (
    ['plain', 'missing', 'plain, no signature'],
    ['sign', 'missing', 'jelou, signing'],
    ['plain', 353, 'plain, with a signature'],
    ['jelou', 353, 'jelou, verifying'],
);

sub sign_table {
    return table(
        [@time_head, 'instructions'],
        map {
            [@{ time_row(@$_, $_->[1]) },
             thousands($instructions{ $_->[0] }{ $_->[1] })]
        } @sign);
}

my @queue = (
    ['jelou', 'jelou, proxy_pass'], ['redis', 'jelou, jelou_redis_pass'],
    ['luaredis', 'lua, a cosocket to Redis'],
);

# kept(TITLE): a section that another script writes, as it stands in the page

sub kept {
    my $title = shift;

    return '' if !defined $docs;

    open my $in, '<:utf8', "$docs/benchmarks.md" or return '';
    my $page = do { local $/; <$in> };

    return $page =~ /^(## $title\n.*?)(?=^## )/ms ? $1 : '';
}

sub queue_table {
    return table(
        [@time_head, 'instructions'],
        map {
            my $size = $_;

            map {
                [@{ time_row($_->[0], $size, "$label{$size}: $_->[1]") },
                 thousands($instructions{ $_->[0] }{$size})]
            } @queue
        } 353, 4096);
}

my $flight = 200 * 512;                          # KB

sub peak { return ($memory{ $_[0] }{peak} - $memory{ $_[0] }{start}) / $flight }

sub memory_table {
    return table(
        ['', 'before, MB', 'peak, MB', '× in flight', 'after, MB',
         'after once more, MB'],
        map {
            my $m = $memory{$_};

            [name($_), f(1, $m->{start} / 1024), f(1, $m->{peak} / 1024),
             f(2, peak($_)), f(1, $m->{after} / 1024),
             f(1, $m->{again} / 1024)]
        } @paths);
}

sub goals {
    my @rows;

    my $goal = sub {
        my ($what, $value, $sign, $limit, $digits) = @_;

        my $reached = $sign eq '≤' ? $value <= $limit : $value >= $limit;

        push @rows, [$what, "$sign $limit", f($digits // 2, $value),
                     $reached ? 'yes' : '**no**'];
    };

    $goal->('353 bytes: processor time, jelou / plain',
            ratio(['jelou', 353], ['plain', 353]), '≤', 1.25);
    $goal->('353 bytes: processor time, signing / plain',
            ratio(['sign', 'missing'], ['plain', 'missing']), '≤', 1.25);
    $goal->('353 bytes: processor time, lua / jelou',
            ratio(['lua', 353], ['jelou', 353]), '≥', 1.4);
    $goal->('353 bytes: processor time, njs / jelou',
            ratio(['njs', 353], ['jelou', 353]), '≥', 2.5);
    $goal->('353 bytes: processor time, redis / jelou',
            ratio(['redis', 353], ['jelou', 353]), '≤', 1.15);
    $goal->('353 bytes: instructions over plain / floor',
            added('jelou', 353) / $floor{353}{both}, '≤', 1.25);

    for my $size (65536, 524288) {
        my ($one, $two) = map { $time{$_}{$size}{user} } qw(jelou plain);
        my $more = median(map { $one->[$_] - $two->[$_] } 0 .. $#$one);

        $goal->("$label{$size}: user time over plain / floor",
                1000 * $more / $floor_ns{$size}{both}, '≤', 1.5);
    }

    $goal->('processor time, 512 KB / 64 KB',
            ratio(['jelou', 524288], ['jelou', 65536]), '≤', 8.8);
    $goal->('processor time, wrong signature / accepted',
            ratio(['jelou', 'wrong'], ['jelou', 353]), '≤', 1);
    $goal->('processor time, no signature / return 401',
            ratio(['jelou', 'missing'], ['return', 'missing']), '≤', 1.3);
    $goal->('peak memory, 200 × 512 KB / bytes in flight', peak('jelou'),
            '≤', 2.2);
    $goal->('MB kept of them afterwards',
            ($memory{jelou}{after} - $memory{jelou}{start}) / 1024, '≤', 5, 1);
    $goal->('MB kept that plain does not keep',
            ($memory{jelou}{after} - $memory{jelou}{start}
             - $memory{plain}{after} + $memory{plain}{start}) / 1024,
            '≤', 5, 1);
    $goal->('KB grown in 100,000 requests', $growth, '≤', 256, 0);

    return table(['', 'goal', 'measured', 'reached'], @rows);
}

sub plot {
    my ($width, $height) = (760, 440);
    my ($left, $right, $top, $bottom) = (66, 110, 44, 48);

    my $log = sub { return log($_[0]) / log 10 };

    my @all = map { my $p = $_; map { t($p, $_, 'cpu') } @sizes } @paths;
    my ($low, $high) = (sort { $a <=> $b } @all)[0, -1];

    my ($y0, $y1) = (int $log->($low), int($log->($high)) + 1);
    my ($x0, $x1) = ($log->($sizes[0]), $log->($sizes[-1]));

    my $x = sub {
        return f(1, $left + ($width - $left - $right)
                    * ($log->($_[0]) - $x0) / ($x1 - $x0));
    };
    my $y = sub {
        return f(1, $height - $bottom - ($height - $top - $bottom)
                    * ($log->($_[0]) - $y0) / ($y1 - $y0));
    };

    my $svg = <<"END";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height"
     width="$width" height="$height" role="img" aria-labelledby="title">
<title id="title">Processor time of the worker for one message, by body size</title>
<style>
  .page { fill: #fff }
  text { font: 13px sans-serif; fill: #333 }
  .title { font-weight: bold }
  .end { text-anchor: end }
  .middle { text-anchor: middle }
  .grid { stroke: #ccc }
  polyline { fill: none; stroke: currentColor; stroke-width: 2 }
  circle, .name { fill: currentColor }
  .plain { color: #666 }
  .jelou, .raw { color: #0a7d3c }
  .raw { stroke-dasharray: 5 4 }
  .lua { color: #1f5fc4 }
  .njs { color: #c0451b }
  \@media (prefers-color-scheme: dark) {
    .page { fill: #14181f }
    text { fill: #ddd }
    .name { fill: currentColor }
    .grid { stroke: #444 }
    .plain { color: #aaa }
    .jelou, .raw { color: #3fc97a }
    .lua { color: #79a8f7 }
    .njs { color: #f08c66 }
  }
</style>
<rect class="page" width="$width" height="$height"/>
<text class="title" x="$left" y="22">Processor time of the worker for one message, µs (both axes are logarithmic)</text>
END

    for my $power ($y0 .. $y1) {
        my $at = $y->(10 ** $power);

        $svg .= qq(<line class="grid" x1="$left" x2=")
            . ($width - $right) . qq(" y1="$at" y2="$at"/>\n)
            . sprintf(qq(<text class="end" x="%d" y="%.1f">%s</text>\n),
                      $left - 8, $at + 4, thousands(10 ** $power));
    }

    for my $size (@sizes) {
        $svg .= sprintf qq(<text class="middle" x="%s" y="%d">%s</text>\n),
            $x->($size), $height - $bottom + 24, $label{$size};
    }

    my $above = 0;

    for my $path (sort { t($a, 524288, 'cpu') <=> t($b, 524288, 'cpu') }
                  @paths)
    {
        my @points = map { [$x->($_), $y->(t($path, $_, 'cpu'))] } @sizes;

        $svg .= qq(<polyline class="$path" points=")
            . join(' ', map { join ',', @$_ } @points) . qq("/>\n)
            . join '', map {
                qq(<circle class="$path" cx="$_->[0]" cy="$_->[1]" r="3"/>\n)
            } @points;

        # names do not stand on each other

        my $at = $points[-1][1] + 4;
        $at = $above - 15 if $above && $at > $above - 15;
        $above = $at;

        $svg .= sprintf
            qq(<text class="name $path" x="%.1f" y="%.1f">%s</text>\n),
            $points[-1][0] + 9, $at, name($path);
    }

    return "$svg</svg>\n";
}

if ($sign_only) {
    binmode STDOUT, ':utf8';
    print sign_table(), "\n", profile_table();
    exit;
}

my $text = <<"END" =~ s/ +\n/\n/gr;
# Benchmarks

This page says what a message costs a worker of nginx: with `proxy_pass` alone,
with this module, and with the same work in Lua and in njs.
`sh util/bench/run.sh --write` measures all of it in one run and writes this page.

![Processor time by body size](benchmarks.svg)

One nginx with one worker has a location for each variant. All of them pass the
message to the same origin, over the same keepalive connections:

- **plain**: `proxy_pass` alone, nothing checked;
- **jelou**: this module, `jelou_format event`;
- **jelou raw**: this module, `jelou_format raw`;
- **lua**: `util/bench/peer.lua`, with cjson, the HMAC through FFI with a context
  that is kept, and the new body by `ngx.req.set_body_data`;
- **njs**: `util/bench/peer.js`, with `crypto`, `JSON.parse` and `r.subrequest`.

First, each variant gets valid, unsigned, malformed and invalid messages. All
must give the same verdicts, and the same events to the origin. Lua and njs do
less than the module: they do not check UTF-8 or repeated members, name no
violations, and write shorter answers.

The rounds are interleaved, and every second round runs in the opposite order.
The figures are medians of the rounds; a ratio is the median of the rounds'
ratios. Processor time is that of the worker, from `/proc/PID/stat`. Compare this
figure: requests per second and latencies also depend on the other processes of
the machine. Instructions are those in user space, counted by callgrind, as the
difference of two runs with different numbers of requests on one connection. They
are the same in each run, and do not include the kernel. Valgrind's processor has
no SHA instructions. If the real processor has them, the HMAC takes a smaller part
of the time than of the instructions.

## Goals

@{[goals()]}@{[reasons()]}
## Processor time

Of the worker, for one request, in microseconds.
@{[time_tables()]}
## Instructions

In user space, for one request. The floor is what OpenSSL and yajl need alone:
one HMAC from a copy of a keyed context, and one parse with callbacks that do
nothing.
@{[instruction_tables()]}
The floor, in instructions and in nanoseconds of processor time:

@{[floor_table()]}
## Where the instructions go

The instructions that one message of 353 bytes takes over `plain`, by library. The
C library is mostly `memcpy()`. Code that LuaJIT compiled counts as Lua.

@{[profile_table()]}
## Refusals and duplicates

The message has 353 bytes. The ratio is to `plain`, which passes the message on.

@{[refusal_table()]}
## A signature of ours

The message of 353 bytes from an application that does not sign: nginx checks it, signs
what it sends (`jelou_secret off`, `jelou_upstream_secret`, `jelou_reply upstream`), and
passes the answer on. The ratios are to `plain` with the same request.

@{[sign_table()]}
## Into a queue

Each message is a new one, appended to a stream of Redis by a script that looks for its
key, as [redis.md](redis.md) has it; in Lua over a cosocket, with the same script. The
time is the worker's, without that of Redis.

@{[queue_table()]}
@{[kept('The queue')]}## Memory

The memory of a new worker for each variant: while 200 clients send 512 KB each
(100 MB in all, at the same time, because the origin answers slowly), three seconds
after they have left, and after the same once more. Memory that stays belongs to the
C library, which returns memory to the system only from the end of its heap.

@{[memory_table()]}
## Hostile bodies

These bodies of 1 MB are made to cost much: hundreds of thousands of members and items, nested
values, escapes, messages for a room. If the project chooses the key, the body is read twice:
before the signature for the project, and after it for the event. Each figure compares the
instructions with those of a text message of 1 MB, sent in the same way: this module, OpenSSL and
nginx, plus yajl. The last column compares the memory that a worker grows by. The first part and
the memory must be at most three: otherwise `run.sh --hostile` fails, and `--quick` with
bodies of 100 KB.

The second part is more than three for several bodies: for `1,1,1,…` (`numbers`), yajl takes
@{[hostile_yajl()]} instructions for each byte, each time that it reads the body. Before the
signature is verified, the module parses a body only if a project chooses the key, and never a
body of `room_message` or `bot_message`. `client_max_body_size` and `limit_req` limit this work.

@{[hostile_table()]}
## The machine

@{[table(['', ''], map { [/^\| (.*?) \|/, /^\|.*?\| (.*) \|/] } @machine)]}
END

if (defined $docs) {

    for (['benchmarks.md', $text], ['benchmarks.svg', plot()]) {
        open my $out, '>:utf8', "$docs/$_->[0]" or die "$docs/$_->[0]: $!\n";
        print $out $_->[1];
        close $out or die "$docs/$_->[0]: $!\n";
    }

} else {
    binmode STDOUT, ':utf8';
    print $text;
}
