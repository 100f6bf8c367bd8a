package Jelou::Composition::Run;

# Runs compositions: t/reply/composition.t, which has the options, and docs/testing.md.

use strict;
use warnings;

use Jelou ();
use Jelou::Composition;
use Jelou::Composition::Application;
use Jelou::Composition::Client;
use Jelou::Composition::Config;
use Jelou::Composition::Oracle;
use Jelou::Http3;
use Jelou::Redis;
use Jelou::Server;
use Test::More ();
use Time::HiRes qw(sleep time);

our $Batch = 300;


# The modules of other packages that this nginx loads, one way or the other;
# modules() returns their names

my ($jelou, @modules);

sub modules {
    $jelou = $ENV{TEST_NGINX_LOAD_MODULES};

    for my $name (sort keys %Jelou::Composition::Config::Module) {
        my $why = missing($name);

        if ($why) {
            Test::More::diag("without $name: $why");
        } else {
            push @modules, $name;
        }
    }

    my %has = map { $_ => 1 } @modules;
    my @no  = grep { !$has{$_} } qw(lua js echo more subs image);

    Jelou::Composition::early_hints(knows_early_hints());

    Jelou::Composition::without(taker => \@no, filter => \@no);

    if (my $why = Jelou::Http3->unusable) {
        Test::More::diag("without h3: $why");
        Jelou::Composition::without(http => ['h3']);
    } else {
        $Jelou::Composition::Client::Http3 = Jelou::Http3->new;
    }

    # Debian's Lua, in an nginx that was built otherwise, sends its header before
    # what stands before it, with or without the module

    if ($ENV{TEST_NGINX_BINARY} ne '/usr/sbin/nginx') {
        Jelou::Composition::apart('taker', 'lua', 'filter', 'addition');
        Jelou::Composition::apart('second', $_, 'filter', 'addition')
            for grep { /^lua/ } values_of('second');
    }

    return @modules;
}

# Since 1.29 nginx knows what comes before an answer.

sub knows_early_hints {
    my ($major, $minor) =
        `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/(\d+)\.(\d+)\.};

    return $major * 1000 + $minor >= 1029;
}

sub load {
    my ($order) = @_;

    my @others = map { @{ $Jelou::Composition::Config::Module{$_} } } @modules;
    my @load   = map { "load_module  $Jelou::Composition::Config::Modules/$_.so;" }
                 @others;

    my @own = $jelou eq '' ? () : "load_module  $jelou;";

    return join "\n", $order eq 'first' ? (@own, @load) : (@load, @own);
}

sub missing {
    my $name = shift;

    my @files = map { "$Jelou::Composition::Config::Modules/$_.so" }
                @{ $Jelou::Composition::Config::Module{$name} };

    for (@files) {
        return "there is no $_" unless -e $_;
    }

    my $conf = "$Jelou::Dir/$Jelou::Name.modules.conf";

    Jelou::Server::spew($conf, join '', (map { "load_module  $_;\n" } @files),
                        "events { }\nhttp { }\n");

    my $test = Jelou::Reports::without_leaks(
        "$ENV{TEST_NGINX_BINARY} -t -q -e stderr -c $conf 2>&1");
    my $said = `$test`;

    return $? ? $said =~ s/\n.*//sr : undef;
}


# fixed(): the compositions that have failed once, from t/reply/composition.txt, but for
# those that want a module that is not there

sub fixed {
    open my $in, '<', 't/reply/composition.txt' or die "t/reply/composition.txt: $!\n";

    return map { my $name = $_; eval { parse($name) } // () }
           map { /^([^#\s]+)$/ ? $1 : () } <$in>;
}


# sample(OPTIONS): what is to be tried, [COMPOSITION, ORDER] each.  What has failed
# once, and what is asked for, in each order of the modules; of a sample, the one half
# in the one order.

our $Count = 2000;

sub sample {
    my %o = @_;

    my @orders = $o{order} ? $o{order}
               : $jelou eq '' ? 'static' : @modules ? ('first', 'last') : 'alone';

    my $both = sub { my $c = shift; map { [$c, $_] } @orders };

    return map { $both->(parse($_)) } @{ $o{only} } if $o{only};

    my @fixed = fixed();

    return map { $both->($_) } @fixed if $o{fixed};

    my $seed = $o{seed} // int(time / 86_400);

    Test::More::diag("--seed $seed");

    my @groups = pairs_of(@Jelou::Composition::Dimensions);

    if ($o{all}) {
        my @four = qw(taker does goes filter);
        push @groups, map { my $no = $_; [grep { $_ ne $no } @four] } @four;
    }

    my @cover = cover(\@groups, seed => $seed);
    my @rest  = $o{all} ? () : any($o{count} // $Count);
    my %seen  = map { $_->{name} => 1 } @fixed;
    my $turn  = 0;

    return (map { $both->($_) } @fixed),
           map { $o{all} ? $both->($_) : [$_, $orders[$turn++ % @orders]] }
           grep { !$seen{$_->{name}}++ } @cover, @rest;
}


my ($nginx, $worker, $redis, $dir, %counted);

my %offset = (record => 0, results => 0);

sub run {
    my %o = @_;

    modules();

    my @all = sample(%o);

    if ($o{list}) {
        Test::More::diag("$_->[0]{name} $_->[1]") for @all;
        Test::More::pass('listed');
        return;
    }

    my $began = time;

    start_backends();

    for my $order (qw(static alone first last)) {
        my @mine = map { $_->[0] } grep { $_->[1] eq $order } @all;

        while (my @batch = splice @mine, 0, $Batch) {
            batch($order, @batch);
        }
    }

    Test::More::diag(sprintf '%d compositions in %.0f s', scalar @all,
                     time - $began);

    return;
}


sub start_backends {
    $dir = "$Jelou::Dir/$Jelou::Name.files";

    File::Path::remove_tree($dir);
    File::Path::make_path($dir);
    chmod 0755, $dir;

    files($dir);

    $Jelou::Upstream = Jelou::Composition::Application->start("$dir/record");
    $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_3});

    return;
}


my $number = 0;
my $batches = 0;

sub batch {
    my ($order, @batch) = @_;

    local $ENV{TEST_NGINX_LOAD_MODULES} = '';

    my @numbered = map { [$_, ++$number] } @batch;

    $nginx = Jelou::Server->start(
        name  => 'nginx' . ++$batches,
        main  => load($order),
        allow => $Jelou::Composition::Oracle::Nginx,
        http  => http($dir, { modules => \@modules }, @numbered),
    );

    ($worker) = $nginx->workers;

    $offset{log} = 0;
    %counted = ();

    get($Jelou::Port{SERVER}, '/warm');
    records("$dir/record", \$offset{record});
    log_lines();

    for (@numbered) {
        my ($c, $n) = @$_;
        one($order, $c, $n);
    }

    $nginx->stop;

    return;
}


sub request_of {
    my ($c, $n) = @_;

    my $id    = "m-$n";
    my $asks  = $c->{asks};
    my $text  = $asks =~ /^large/ ? 'x' x $Jelou::Composition::Config::Large
                                  : 'Hello';
    my $event = Jelou::event(id => qq("$id"), content => qq({"body":"$text"}));
    my $raw   = $event =~ s/,"/, "/gr;
    my $type  = 'application/json; charset=utf-8';

    my %header = (
        'expect'              => 'Expect: 100-continue',
        'range=0-3'           => 'Range: bytes=0-3',
        'range=beyond'        => 'Range: bytes=9999999-',
        'if-match'            => 'If-Match: "no"',
        'if-none-match'       => 'If-None-Match: *',
        'if-modified-since'   =>
            'If-Modified-Since: Fri, 01 Jan 2044 00:00:00 GMT',
        'if-unmodified-since' =>
            'If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT',
    );

    my @headers = $header{$asks} // ();

    push @headers, 'Accept-Encoding: gzip' if $c->{filter} eq 'gzip';

    my $post = sub {
        return Jelou::post($raw, path => "/$n", type => $type,
            version => $c->{http} eq 'h1.0' ? '1.0' : '1.1',
            headers => [@headers, "X-Try: $_[0]"],
            $asks =~ /chunked/ ? (chunked => 3000) : (),
            $asks eq 'forged' ? (secret => 'another one') : ());
    };

    return (id => $id, raw => $raw, event => $event, type => $type, post => $post);
}


sub one {
    my ($order, $c, $n) = @_;

    my %e = (c => $c, n => $n, route => route($c), request_of($c, $n));

    my $port = $Jelou::Port{$c->{http} eq 'h2' ? 'PORT_1' : 'SERVER'};

    for my $i (1, 2) {
        my %try = (answer => ask($c->{http}, $port, $e{post}->($i)),
                   replay => $i == 2 && $e{route}{says} eq 'success'
                             && $c->{dedup} eq 'dedup');

        $try{results} = results($n, $i);
        $try{records} = records_of({ %e, %try });
        $try{queued}  = $redis->command('XLEN', "s$n")
            if $c->{taker} eq 'queue';
        $try{log} = [log_lines()];

        push @{ $e{tries} }, \%try;
    }

    $e{counted} = counted();

    my @wrong = judge(%e);

    if (!kill 0, $worker) {
        push @wrong, 'the worker has died';
        ($worker) = $nginx->workers;
    }

    Test::More::ok(!@wrong, "$c->{name} $order") or explain(\%e, @wrong);

    return;
}


# The log of a request is written when it is freed: in HTTP/1 before the
# connection ends.

sub results {
    my ($n, $try) = @_;

    my (@results, $until);

    $until = time + 5;

    while (1) {
        push @results, grep { $_->{path} eq "/$n" && $_->{try} eq $try }
            map { my %r; @r{qw(path try status result)} = split /\|/, $_, 4; \%r }
            lines('results', "$dir/results");

        return \@results if @results || time > $until;
        sleep 0.005;
    }
}

sub lines {
    my ($name, $file) = @_;

    open my $in, '<:raw', $file or return;
    seek $in, $offset{$name}, 0;

    my @lines;

    while (my $line = <$in>) {
        last unless $line =~ /\n\z/;
        $offset{$name} += length $line;
        chomp $line;
        push @lines, $line;
    }

    return @lines;
}

sub log_lines { return lines('log', "$nginx->{dir}/error.log") }

# What stands aside may be a moment later.

sub records_of {
    my $try = shift;

    my @want  = Jelou::Composition::Oracle::aside($try);
    my $until = time + (Jelou::Composition::Oracle::loose($try->{c}) ? 0.5 : 5);
    my @records;

    while (1) {
        push @records, records("$dir/record", \$offset{record});

        return \@records if time > $until
            || !grep { my $n = $_; !grep { $_->{site} =~ /:$n$/ } @records } @want;
        sleep 0.005;
    }
}


# counted(): how much the counters have grown since

sub counted {
    my $page = get($Jelou::Port{SERVER}, '/status')->{body} // '';

    my %now = $page =~ /^nginx_jelou_requests_total\{endpoint="incoming_message",
                        result="(\w+)"\}\ (\d+)$/xmg;

    my %grown = map { $_ => $now{$_} - ($counted{$_} // 0) } keys %now;

    %counted = %now;

    return { map { $_ => $grown{$_} } grep { $grown{$_} } keys %grown };
}


sub explain {
    my ($e, @wrong) = @_;

    my $cut = sub {
        my $text = shift // '';
        $text =~ s/[^\n -~]/./g;
        return length $text > 700 ? substr($text, 0, 700) . '...' : $text;
    };

    my $text = join '', map { "  wrong: $_\n" } @wrong;

    return Test::More::diag($text) if $ENV{JELOU_COMPOSITION_BRIEF};

    $text .= "--- configuration\n" . locations($e->{c}, $e->{n})
             . "--- request\n" . $cut->($e->{post}->(1)) . "\n";

    for my $i (0, 1) {
        my $try = $e->{tries}[$i];

        $text .= '--- answer ' . ($i + 1) . "\n"
            . $cut->($try->{answer}{raw}) . ($try->{answer}{none} // '')
            . "\n--- records\n"
            . join('', map { $cut->(join ' ', @$_{qw(site does protocol method
                                                    length type body)}) . "\n" }
                       @{ $try->{records} })
            . "--- results\n"
            . join('', map { "$_->{status} $_->{result}\n" }
                       @{ $try->{results} })
            . "--- error log\n" . join('', map { "$_\n" } @{ $try->{log} });
    }

    return Test::More::diag($text);
}


1;
