package Jelou::Composition;

# Compositions of an endpoint with the rest of nginx: their dimensions, the samples
# of them, and what nginx does with one of them.  See docs/testing.md.
#
#     my @values = values_of('filter');
#     my $c      = parse('proxy/200/nowhere/-/plain/none/plain/contract/dedup/h1');
#     my @all    = cover(\@groups, seed => 7);    # [qw(taker does)], ...
#     my @more   = any(1000);
#     my $route  = route($c);
#
# A composition is { DIMENSION => VALUE, ... , name => NAME }, the name is the
# values in the order of @Dimensions.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(values_of parse cover any pairs_of route sites_of);

our @Dimensions = qw(taker does goes second pages filter asks reply dedup http);

our @Upstreams = qw(proxy fastcgi uwsgi scgi grpc);

my %is_upstream = map { $_ => 1 } @Upstreams;

# What each taker can do.  "accel=" is an X-Accel-Redirect to what follows; "exit500"
# a handler that returns a status to nginx, in place of an answer.

my @answers = qw(200 200long chunked 204 206 304 301 404 429 500 close half down
                 early accel=file accel=bigfile accel=204 accel=proxy
                 accel=cached accel=dead accel=endpoint:200 accel=endpoint:500
                 accel=@endpoint:200);

my @script = qw(200 200long 204 206 304 301 404 429 500 exit500);

my %does = (
    (map { $_ => [grep { $_ ne 'early' } @answers] } @Upstreams),
    proxy  => \@answers,
    lua    => [@script, 'half'],
    js     => \@script,
    echo   => [qw(200 200long 404 429 500)],
    return => [qw(200 204 301 404 429 500)],
    file   => [200],
    queue  => [qw(200 down)],
    none   => [200],
);

# Where it goes after that.  "second" is another endpoint, whose own error_page is a
# page; "=" and what follows is that of error_page.

my @second = qw(@second @second= @second=200 second second= second=200);

our %Values = (
    taker  => [qw(proxy fastcgi uwsgi scgi grpc lua js echo return file queue
                  none)],
    does   => [@answers, 'exit500'],
    goes   => [qw(nowhere page page= page=200 return= @page= proxied=), @second,
               qw(try=@second try=second try=file post_action auth auth=denied
                  mirror)],
    second => [qw(- proxy:200 proxy:200long proxy:204 proxy:500 proxy:404
                  proxy:half proxy:down proxy:accel=file fastcgi:200 grpc:200
                  lua:200long lua:exit500 echo:200 none:200)],
    pages  => [qw(plain intercept recursive both)],
    filter => [qw(none gzip addition sub ssi charset image lua more echo subs)],
    asks   => [qw(plain chunked expect range=0-3 range=beyond if-match
                  if-none-match if-modified-since if-unmodified-since forged
                  large large-chunked)],
    reply  => [qw(contract upstream)],
    dedup  => [qw(dedup repeat)],
    http   => [qw(h1 h1.0 h2 h3)],
);

my %goes_second = map { $_ => 1 } @second, qw(try=@second try=second);


# without(DIMENSION => VALUE, ...): what this nginx does not have

sub without {
    my %o = @_;

    for my $dimension (keys %o) {
        my %no = map { $_ => 1 } @{ $o{$dimension} };
        @{ $Values{$dimension} } = grep { !$no{$_} } @{ $Values{$dimension} };
    }

    @{ $Values{second} } = grep { my ($taker) = split /:/; $taker eq '-'
        || grep { $_ eq $taker } @{ $Values{taker} } } @{ $Values{second} };

    return;
}

sub values_of { return @{ $Values{$_[0]} } }


# Two values that do not meet.  The rest does.

my %allowed = (
    'taker does'  => sub { scalar grep { $_ eq $_[1] } @{ $does{$_[0]} } },
    'taker goes'  => sub { $_[0] eq 'file' ? $_[1] ne 'try=file'
                           : $_[0] ne 'return' || $_[1] ne 'post_action' },
    'goes second' => sub { !$goes_second{$_[0]} == ($_[1] eq '-') },

    # nginx hangs or crashes without the module as well

    'does filter'   => sub { $_[0] ne 'half' || $_[1] !~ /subs|image/ },
    'asks filter'   => sub { $_[0] ne 'large-chunked' || $_[1] ne 'image' },
    'second filter' => sub { $_[0] ne 'proxy:half' || $_[1] ne 'subs' and
                             $_[0] !~ /^(?:lua|fastcgi)/ || $_[1] ne 'image' },

    # Lua and FastCGI go on after the image filter has refused, and crash

    'taker filter'  => sub { $_[0] !~ /^(?:lua|fastcgi)$/ || $_[1] ne 'image' },
    'asks http'   => sub { $_[0] =~ /chunked/ ? $_[1] ne 'h1.0'
                           : $_[0] ne 'expect' || $_[1] eq 'h1' },

    # nginx waits for the rest of a body before a post_action, and announces it to a
    # page that is proxied, which then waits for it

    'goes asks'   => sub { $_[0] !~ /^(?:post_action|proxied=)$/ || $_[1] !~ /large/ },
);

my %allowed_cache;

# apart(DIMENSION, VALUE, DIMENSION, VALUE): these two do not meet in this nginx

sub apart {
    my ($one, $a, $other, $b) = @_;

    $allowed_cache{$_} = 0 for "$one $a $other $b", "$other $b $one $a";

    return;
}

sub allowed {
    my ($one, $a, $other, $b) = @_;

    return $allowed_cache{"$one $a $other $b"} //= do {
        my $rule = $allowed{"$one $other"};
        my $back = $allowed{"$other $one"};

        (!$rule || $rule->($a, $b)) && (!$back || $back->($b, $a)) ? 1 : 0;
    };
}


sub parse {
    my $name = shift;

    my @values = split m{/}, $name;
    die "no composition: $name\n" if @values != @Dimensions;

    my %c = (name => $name);
    @c{@Dimensions} = @values;

    for my $one (@Dimensions) {
        die "no such $one: $c{$one}, in $name\n"
            unless grep { $_ eq $c{$one} } @{ $Values{$one} };

        for my $other (@Dimensions) {
            die "$c{$one} and $c{$other} do not meet, in $name\n"
                unless allowed($one, $c{$one}, $other, $c{$other});
        }
    }

    return \%c;
}

sub named {
    my $c = shift;

    $c->{name} = join '/', @$c{@Dimensions};

    return $c;
}


# pairs_of(DIMENSION, ...): all groups of two

sub pairs_of {
    my @names = @_;

    return map { my $i = $_; map { [@names[$i, $_]] } $i + 1 .. $#names }
           0 .. $#names - 1;
}


# cover(GROUPS): compositions in which all values of each group of dimensions
# meet that can.  Greedy: each begins with a meeting that there was not yet, and
# goes on with what adds most.

sub cover {
    my ($groups, %o) = @_;

    srand $o{seed} // 1;

    my (%wanted, @order);

    for my $group (@$groups) {
        for my $meeting (meetings(@$group)) {
            my $key = join ' ', map { "$_=$meeting->{$_}" } @$group;
            $wanted{$key} = 1;
            push @order, [$key, $meeting];
        }
    }

    my %groups_of;

    for my $group (@$groups) {
        push @{ $groups_of{$_} }, $group for @$group;
    }

    shuffle(\@order);

    my @all;

    for (@order) {
        my ($key, $meeting) = @$_;
        next unless $wanted{$key};

        my $c = complete({ %$meeting }, \%groups_of, \%wanted);

        for my $group (@$groups) {
            delete $wanted{join ' ', map { "$_=$c->{$_}" } @$group};
        }

        push @all, named($c);
    }

    return @all;
}

# any(COUNT): so many, by chance

sub any {
    my $count = shift;

    return map { named(one()) } 1 .. $count;
}

sub one {
    my %c;

    for my $name (@Dimensions) {
        my @fit = grep { fits(\%c, $name, $_) } @{ $Values{$name} }
            or return one();

        $c{$name} = $fit[rand @fit];
    }

    return \%c;
}

sub shuffle {
    my $list = shift;

    for my $i (reverse 1 .. $#$list) {
        my $j = int rand $i + 1;
        @$list[$i, $j] = @$list[$j, $i];
    }

    return;
}

# meetings(DIMENSION, ...): all values of these that can meet

sub meetings {
    my @names = @_;

    my @meetings = ({});

    for my $name (@names) {
        @meetings = map {
            my $meeting = $_;
            map { { %$meeting, $name => $_ } }
                grep { fits($meeting, $name, $_) } @{ $Values{$name} };
        } @meetings;
    }

    return grep { possible($_) } @meetings;
}

sub fits {
    my ($c, $name, $value) = @_;

    for (keys %$c) {
        return 0 unless allowed($name, $value, $_, $c->{$_});
    }

    return 1;
}

# Each of the other dimensions has a value left.

sub possible {
    my $c = shift;

    for my $name (grep { !exists $c->{$_} } @Dimensions) {
        return 0 unless grep { fits($c, $name, $_) } @{ $Values{$name} };
    }

    return 1;
}

sub complete {
    my ($c, $groups_of, $wanted) = @_;

    my @rest = grep { !exists $c->{$_} } @Dimensions;
    shuffle(\@rest);

    for my $name (@rest) {
        my ($best, $most) = (undef, -1);
        my @values = grep { fits($c, $name, $_) } @{ $Values{$name} };

        shuffle(\@values);

        for my $value (@values) {
            local $c->{$name} = $value;
            next unless possible($c);

            my $new = grep {
                my $group = $_;
                !(grep { !exists $c->{$_} } @$group)
                && $wanted->{join ' ', map { "$_=$c->{$_}" } @$group};
            } @{ $groups_of->{$name} // [] };

            ($best, $most) = ($value, $new) if $new > $most;
        }

        $c->{$name} = $best;
    }

    return $c;
}


# sites_of(COMPOSITION): the places that an event can come to, by name.  One that
# is an endpoint verifies, and takes; "page" is the operator's; "named" is a location
# that only an upstream leads to, by X-Accel-Redirect.

sub sites_of {
    my $c = shift;

    my %sites = (first => { taker => $c->{taker}, does => $c->{does},
                            endpoint => 1 });

    my $goes = $c->{goes};

    $sites{first}{next} =
        $goes =~ /^\@?second/                    ? 'second'
      : $goes =~ /^(?:page|return|\@page|proxied)/ ? 'page' : undef;

    $sites{page} = { taker => $goes eq 'proxied=' ? 'proxy' : 'return',
                     does => 'page', page => 1 };

    if ($c->{second} ne '-') {
        my ($taker, $does) = split /:/, $c->{second};
        $sites{second} = { taker => $taker, does => $does, endpoint => 1,
                           next => 'last' };
        $sites{last} = { taker => 'return', does => 'page', page => 1 };
    }

    for my $from (grep { $sites{$_} } qw(first second)) {
        my ($what) = $sites{$from}{does} =~ /^accel=\@?(.*)/ or next;
        my ($kind, $does) = split /:/, $what;

        $sites{$from}{accel} = "$from-accel";
        $sites{"$from-accel"} =
            $kind eq 'endpoint' ? { taker => 'proxy', does => $does,
                                    endpoint => 1 }
          : { taker => { proxy => 'proxy', dead => 'proxy',
                         cached => 'cached', 204 => 'return' }->{$kind}
                       // 'static',
              does => { dead => 'down', 204 => 204 }->{$kind} // 200,
              kind => $kind, named => 1 };
        $sites{"$from-accel"}{next} = $sites{$from}{next};
    }

    return \%sites;
}


# outcome(SITE): what a handler makes of the event: taken, with the status, or
# not: "pass", with an answer; "special", by a status that nginx has a page for;
# "half", an answer that is cut off.

our $Early;

sub early_hints { $Early = shift }

sub outcome {
    my $site = shift;

    my ($taker, $does) = @$site{qw(taker does)};

    if ($taker eq 'return') {
        return $does eq 'page' || $does < 400 ? ['page'] : ['special', $does]
            unless $site->{named};
        return ['taken', $does];
    }

    # what stands for an application that speaks gRPC answers 502 by itself

    return ['pass', 502] if $taker eq 'grpc' && $does eq 'close';
    return ['special', 502] if $does eq 'close' || $does eq 'down';
    return ['half'] if $does eq 'half';
    return ['accel'] if $does =~ /^accel=/;
    return ['special', 500] if $does eq 'exit500';
    return ['page'] if $does eq 'page';
    return ['cached'] if $taker eq 'cached';
    return $Early ? ['taken', 200] : ['pass', 103] if $does eq 'early';

    my $status = $does =~ /^(\d+)/ ? $1 : 200;

    return [$status < 300 ? 'taken' : 'pass', $status];
}


# What error_page names in first and second

our @Pages = qw(401 403 404 412 413 415 416 429 500 502 503 504);

my %has_page = map { $_ => 1 } @Pages;


# route(COMPOSITION): the way of an event, as nginx's own rules have it:
#
#     sites    what has the event, in order
#     says     success, error, page, or cut
#     status, key    of an error
#     by       the site that has taken it, or that has failed last

sub route {
    my $c = shift;

    my $sites = sites_of($c);
    my $name  = 'first';
    my $pages = 1;                  # error_page is followed still
    my @way;

    return refused(403, 'FORBIDDEN')
        if $c->{goes} eq 'auth=denied' && $c->{taker} ne 'return'
           && $c->{asks} ne 'large';

    my ($kind, $status, $key);

    while (1) {
        my $site = $sites->{$name};

        ($kind, $status, $key) = step($c, $name, $site, \@way, $key);

        if ($kind eq 'try') {
            $name = 'second';
            next;
        }

        push @way, $name if !$key;

        if ($kind eq 'accel') {
            $name = $site->{accel};
            next;
        }

        $kind = 'special'
            if $kind eq 'pass' && $c->{pages} =~ /intercept|both/
               && $site->{next} && $has_page{$status}
               && ($is_upstream{$site->{taker}});

        last unless $kind eq 'special' && $pages && $site->{next}
                    && $has_page{$status};

        $pages = 0 if $c->{pages} !~ /recursive|both/;
        $name  = $site->{next};
    }

    return conclude($sites->{$name}, $name, \@way, $kind, $status, $key);
}

# The checks that come before an endpoint's handler

sub step {
    my ($c, $name, $site, $way, $before) = @_;

    my $asks  = $c->{asks};
    my $start = $name eq 'first' && !@$way;

    # a body that was not read is not there for another endpoint

    return ('special', 413, 'PAYLOAD_TOO_LARGE')
        if $asks eq 'large' && $start
           || $site->{endpoint} && ($before // '') eq 'PAYLOAD_TOO_LARGE';

    return @{ outcome($site) } if !$site->{endpoint}
                                  || $site->{taker} eq 'return';

    return 'try' if $name eq 'first' && $c->{goes} =~ /^try=\@?second/;

    return ('special', 413, 'PAYLOAD_TOO_LARGE') if $asks eq 'large-chunked';
    return ('special', 401, 'SIGNATURE_MISMATCH') if $asks eq 'forged';

    return @{ outcome($site) };
}

sub conclude {
    my ($site, $name, $way, $kind, $status, $key) = @_;

    my %route = (sites => $way, by => $name, site => $site);

    return { %route, says => 'error', status => $status, key => $key } if $key;

    # "return" in the endpoint itself

    return { %route, says => 'page', own => 1 }
        if $kind eq 'page' && $name eq 'first';
    return { %route, says => 'page' } if $kind eq 'page';
    return { %route, says => 'success', status => $status }
        if $kind eq 'taken';
    return { %route, says => 'half' } if $kind eq 'half';

    return { %route, says => 'error', status => $status, own => 1 }
        if $site->{taker} eq 'return';

    return { %route, says => 'error', status => 500, key => 'UPSTREAM_FAILED' }
        if $kind eq 'cached' || $status < 400 || $status >= 500;
    return { %route, says => 'error', status => $status,
             key => 'UPSTREAM_REJECTED' };
}

sub refused {
    my ($status, $key) = @_;

    return { sites => [], says => 'error', status => $status, key => $key };
}


1;
