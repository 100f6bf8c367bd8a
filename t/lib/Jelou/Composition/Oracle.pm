package Jelou::Composition::Oracle;

# Judges what became of an event, by what others have seen: the application's
# record, the sender's answer, the access log, the counters, the error log.
#
#     my @wrong = judge(%evidence);
#
# The evidence:
#
#     c, n       the composition, its number
#     route      of Jelou::Composition
#     id, raw, event    of the event: the message id, the body as sent, and what
#                it is to become
#     tries      two of { answer, records, results, log, replay }: the last one,
#                if it should be a repetition's answer
#     counted    { RESULT => COUNT }, how much the counters have grown
#
# The rule, for each try: the sender is told a success if, and only if, the one that
# was to take the event has answered 2xx; and then it is not delivered again.

use strict;
use warnings;

use Compress::Zlib ();
use Exporter 'import';
use Jelou ();

our @EXPORT = qw(judge);

# What the image filter makes of an upstream's answer that it refuses, with or
# without the module

our $Nginx = qr/readv\(\) failed \(9: Bad file descriptor\)/;


sub judge {
    my %e = @_;

    my @wrong;
    my %counted;

    for my $i (0 .. $#{ $e{tries} }) {
        my %try = (%e, %{ $e{tries}[$i] }, number => $i + 1);

        push @wrong, map { "try $try{number}: $_" }
            answered(\%try), recorded(\%try), resulted(\%try), logged(\%try);

        for my $result (@{ $try{results} }) {
            $counted{$result->{result}}++
                if $result->{result} !~ /^-?$/;
        }
    }

    my $words = sub { join ', ', map { "$_ $_[0]{$_}" } sort keys %{ $_[0] } };

    push @wrong, 'counted: ' . $words->($e{counted}) . '; logged as results: '
                 . $words->(\%counted)
        if $words->($e{counted}) ne $words->(\%counted);

    return @wrong;
}


# What cannot be told exactly: an answer that a filter behind us refuses, or a queue
# with a page of the operator's

sub loose {
    my $c = shift;

    return $c->{filter} eq 'image'
           || $c->{taker} eq 'queue' && $c->{does} eq 'down'
              && $c->{goes} !~ /^(?:nowhere|try|post|auth|mirror)/
           || $c->{taker} eq 'lua' && $c->{does} eq 'half';
}


sub answered {
    my $try = shift;

    my ($c, $route, $answer) = @$try{qw(c route answer)};

    return "hangs: $answer->{hangs}" if $answer->{hangs};

    if ($answer->{none}) {
        return "no answer: $answer->{none}"
            if $answer->{none} =~ /hangs|curl: 28/ || !may_break($try);
        return;
    }

    my @wrong = leaks($try);

    if (loose($c)) {
        push @wrong, 'says a success, and nobody has taken the event'
            if !taken($try) && contract_success($try);
        return @wrong;
    }

    my $says = $try->{replay} ? 'success' : $route->{says};

    $says = $c->{reply} eq 'upstream' ? 'cut' : 'error' if $says eq 'half';

    return (@wrong, {
        success => \&success, error => \&error, page => \&page, cut => \&cut,
    }->{$says}->($try));
}

sub may_break {
    my $try = shift;

    # where "return" has answered, and the module had no turn: when the image filter has
    # refused that, nginx closes before the upstream that error_page names can answer

    return 1 if $try->{c}{filter} eq 'image' && $try->{c}{taker} eq 'return'
                && $try->{c}{goes} =~ /second|proxied/;

    return $try->{route}{says} eq 'half'
           && ($try->{c}{reply} eq 'upstream' || loose($try->{c}));
}

# taken(TRY): of the record, if a loose one was taken after all; not all that can
# take it keep one

sub taken {
    my $try = shift;

    return 1 if $try->{replay} || $try->{route}{says} eq 'success'
                || $try->{c}{second} =~ /^(?:none|echo)/;

    return scalar grep {
        $_->{does} =~ /^2|^chunked/ && $_->{site} =~ /:(?:first|second)/
    } @{ $try->{records} };
}

sub contract_success {
    my $answer = $_[0]{answer};

    return $answer->{status} =~ /^2/ && $answer->{body} =~ /"success":true/i;
}


# No byte of an application's, unless it is asked for.

sub leaks {
    my $try = shift;

    my ($c, $route, $answer) = @$try{qw(c route answer)};

    my @wrong;

    push @wrong, "early hints: $answer->{early}" if $answer->{early};

    return @wrong if $route->{own};
    return @wrong if $c->{reply} eq 'upstream' && !$try->{replay}
                     && $route->{says} =~ /^(?:success|half)$/;

    my ($head, $body) = (@$answer{qw(head)}, decoded($answer) // '');

    push @wrong, "leaks: $1" if $head =~ /^(.*leak.*?)\r?$/mi;
    push @wrong, "leaks: $1" if $body =~ /(.{0,20}LEAK.{0,20})/s;

    return @wrong;
}

sub decoded {
    my $answer = shift;

    return $answer->{body}
        if "@{ $answer->{headers}{'content-encoding'} // [] }" ne 'gzip';

    my $copy = $answer->{body};         # it is taken away while it is read

    return Compress::Zlib::memGunzip($copy);
}


# core(TRY): the body as it was before the filters, and what they should have done
# and have not

sub core {
    my $try = shift;

    my ($filter, $answer) = ($try->{c}{filter}, $try->{answer});
    my $body = decoded($answer);
    my $ok   = $answer->{status} == 200;
    my @wrong;

    return ('', 'the answer cannot be unzipped') unless defined $body;

    my $has = sub {
        my ($name, $value) = @_;
        push @wrong, "the header $name: $value of a filter is lost"
            if "@{ $answer->{headers}{$name} // [] }" ne $value;
    };

    $has->('x-operator', 1);
    $has->('x-more', 1) if $filter eq 'more';
    $has->('content-encoding', 'gzip') if $filter eq 'gzip' && $ok;

    my %around = (
        addition => ['BEFORE', 'AFTER'], lua => ['', 'LUA-TAIL'],
        echo => ['ECHO-BEFORE', 'ECHO-AFTER'],
    );

    # for Lua the header is sent when its handler has begun to answer

    my $late = $filter eq 'lua' && ($try->{route}{site}{taker} // '') eq 'lua';

    if (my $around = $around{$filter}) {
        my ($before, $after) = @$around;

        # a client of HTTP/3 reads no more than the length that was sent

        my $unseen = $late && $try->{c}{http} eq 'h3';

        if ($body !~ s/\A\Q$before\E(.*)\Q$after\E\z/$1/s) {
            push @wrong, "the body lacks what the filter $filter adds"
                if ($ok || $filter ne 'addition') && !$unseen;
        }
    }

    $has->('x-lua', 1) if $filter eq 'lua' && !$late;

    if ($filter =~ /^subs?$/) {
        push @wrong, "the filter $filter has not seen the body"
            if $body =~ /\btrue\b/;
        $body =~ s/TRUE/true/g;
    }

    return ($body, @wrong);
}

# The headers that an answer of the contract may have

my %header = map { $_ => 1 } qw(server date content-type content-length
    connection transfer-encoding idempotent-replayed retry-after
    www-authenticate allow vary content-encoding x-operator x-more x-lua);

sub contract {
    my $try = shift;

    my $answer = $try->{answer};
    my @wrong;

    push @wrong, 'the answer is cut off'
        unless $answer->{whole}
               || $try->{c}{filter} eq 'lua'
                  && ($try->{route}{site}{taker} // '') eq 'lua';

    push @wrong, map { "a header that is not the contract's: $_: "
                       . "@{ $answer->{headers}{$_} }" }
                 grep { !$header{$_} } sort keys %{ $answer->{headers} };

    my $type = "@{ $answer->{headers}{'content-type'} // [] }";

    push @wrong, "type: $type"
        if $type !~ m{^application/json(?:; ?charset=utf-8)?$};

    my $replayed = $answer->{headers}{'idempotent-replayed'} ? 1 : 0;

    push @wrong, $replayed ? 'says it is a replay' : 'does not say it is a replay'
        if $replayed != ($try->{replay} ? 1 : 0);

    return @wrong;
}


sub success {
    my $try = shift;

    my ($c, $answer, $site) = ($try->{c}, $try->{answer}, $try->{route}{site});

    return passed($try) if $c->{reply} eq 'upstream' && !$try->{replay}
                           && $site->{taker} !~ /^(?:none|file|queue)$/;

    my ($body, @wrong) = core($try);

    return "taken, and the sender is told $answer->{status}: "
           . substr $body, 0, 200 if $answer->{status} != 200;

    my $want = qq({"success":true,"messageId":"$try->{id}"});

    push @wrong, "body: " . substr $body, 0, 200 if $body ne $want;

    return (@wrong, contract($try));
}

# jelou_reply upstream: the answer as it is

sub passed {
    my $try = shift;

    my ($answer, $site) = ($try->{answer}, $try->{route}{site});

    my $status = $try->{route}{status};

    return "taken with $status, and the sender is told $answer->{status}: "
           . substr $answer->{body}, 0, 200 if $answer->{status} != $status;

    my @wrong;

    # what a filter adds to a 204 is the filter's

    push @wrong, 'the answer is cut off'
        unless $answer->{whole} || $status == 204;
    push @wrong, 'not the answer of the one that has taken it: '
                 . substr $answer->{body}, 0, 200
        if $status != 204 && (decoded($answer) // '') !~ /LEAK/;

    return @wrong;
}


sub error {
    my $try = shift;

    my ($route, $answer) = @$try{qw(route answer)};

    my ($status, $key) = $route->{says} eq 'half' ? (500, 'UPSTREAM_FAILED')
                       : @$route{qw(status key)};

    my ($body, @wrong) = core($try);

    $status = 500 if $status > 500;
    ($key) = $body =~ /"key":"(\w+)"/ unless $key;

    return "not taken, and the sender is told $answer->{status}, not $status "
           . ($key // '') . ': ' . substr $body, 0, 200
        if $answer->{status} != $status;

    my $error = Jelou::refusal_error($body, $status, $key // 'any');

    push @wrong, "not the Error object: $error: " . substr $body, 0, 200
        if $error ne '';

    push @wrong, 'Retry-After of the application is lost'
        if ($key // '') eq 'UPSTREAM_REJECTED' && $status == 429
           && $route->{site}{taker} ne 'echo'
           && "@{ $answer->{headers}{'retry-after'} // [] }" ne '7';

    return (@wrong, contract($try));
}


# nginx forgets in HTTP/2 and 3 that it has refused the length, before any module had
# a turn, and refuses that of the page as well

sub page_refused {
    my $c = shift;

    return $c->{asks} eq 'large' && $c->{http} =~ /^h[23]/
           && $c->{goes} !~ /^\@/;
}

# own_page(COMPOSITION): "return" in the endpoint, and an error_page with a status of
# its own: the module has had no turn, and conditions hold for the page

sub own_page {
    my $c = shift;

    return $c->{taker} eq 'return' && $c->{asks} =~ /^(?:if|range)/
           && $c->{goes} =~ /=/;
}

sub page {
    my $try = shift;

    my ($route, $answer) = @$try{qw(route answer)};

    return if $route->{own} && $answer->{status} =~ /^(?:204|301)$/;

    return if page_refused($try->{c}) && $answer->{status} == 413;
    return if own_page($try->{c}) && $answer->{status} =~ /^(?:206|304|4..)$/;

    return "the operator's page is cut off" unless $answer->{whole};
    return if (decoded($answer) // '') =~ /OPERATORS-PAGE/;

    return "not the operator's page: $answer->{status}: "
           . substr $answer->{body}, 0, 200;
}


sub cut {
    my $try = shift;

    my $answer = $try->{answer};

    return if !$answer->{whole} || $answer->{status} >= 400;

    # in HTTP/1.0 the end of an answer without a length is that of the connection

    return if $try->{c}{http} eq 'h1.0'
              && !$answer->{headers}{'content-length'};

    return 'an answer that was cut off is whole for the sender: '
           . "$answer->{status}";
}


# Who has had it, and what they were given

my %silent = map { $_ => 1 } qw(echo return static none file cached queue);

sub recorded {
    my $try = shift;

    my ($c, $n, $route) = @$try{qw(c n route)};
    my $sites = Jelou::Composition::sites_of($c);

    my @want = $try->{replay} ? ()
        : grep { my $s = $sites->{$_};
                 !$silent{$s->{taker}} && $s->{does} ne 'down'
                 && !($s->{page} && page_refused($c)) }
          @{ $route->{sites} };

    my (@got, @aside, @wrong);

    for my $record (@{ $try->{records} }) {
        my $name = $record->{site} =~ /^\Q$n\E:(.*)/ ? $1 : undef;

        if (!defined $name) {
            push @wrong, "an event at $record->{site}";

        } elsif ($sites->{$name}) {
            push @got, $name;
            push @wrong, given($try, $name, $record)
                if $sites->{$name}{endpoint};

        } else {
            push @aside, $name;
            push @wrong, mirrored($try, $record) if $name eq 'mirror';
        }
    }

    push @wrong, "delivered to: @got; and should be to: @want"
        if "@got" ne "@want" && !loose($c);

    push @wrong, queued($try) if $c->{taker} eq 'queue';

    my @others = aside($try);

    # nginx gives a mirror up with the request

    push @wrong, "besides, at: @aside; and should be: @others"
        if "@aside" ne "@others"
           && !((loose($c) || no_action($c)) && !@aside);

    return @wrong;
}

# no_action(COMPOSITION): an answer that is cut off, and no post_action after it.
# Without the module nginx gives up what is left of the request there of gRPC in
# HTTP/2.  Of FastCGI it takes half an answer for a whole one; with the module the
# connection ends, and with it what the addition filter has begun.

sub no_action {
    my $c = shift;

    return 0 if $c->{does} ne 'half';

    return $c->{taker} eq 'grpc' && $c->{http} =~ /^h[23]$/
           || $c->{taker} eq 'fastcgi' && $c->{reply} eq 'upstream'
              && $c->{filter} eq 'addition';
}

sub given {
    my ($try, $name, $record) = @_;

    my ($want, $got) = ($try->{event}, $record->{body});
    my @wrong;

    push @wrong, "$name: the method is $record->{method}"
        if $record->{method} ne 'POST';
    push @wrong, "$name: the body is " . substr($got, 0, 300)
        if $got ne $want;
    push @wrong, "$name: the length is $record->{length}, and "
                 . length($want) . ' bytes are the event'
        if $record->{length} ne length $want
           && ($record->{length} ne '' || $try->{c}{asks} !~ /chunked/
               || $record->{protocol} !~ /lua|js/);
    push @wrong, "$name: the type is $record->{type}"
        if $record->{type} !~ m{^application/json};

    return @wrong;
}

# A mirror has the request as it was.

sub mirrored {
    my ($try, $record) = @_;

    my $raw = $try->{raw};
    my @wrong;

    push @wrong, 'mirror: the body is ' . substr($record->{body}, 0, 300)
        if $record->{body} ne $raw;
    push @wrong, "mirror: the length is $record->{length}, not " . length $raw
        if $record->{length} ne length $raw
           && $try->{c}{asks} !~ /chunked/;
    push @wrong, "mirror: the type is $record->{type}"
        if $record->{type} ne $try->{type};

    return @wrong;
}

sub aside {
    my $try = shift;

    my $c = $try->{c};

    return () if $c->{taker} eq 'return' && $c->{goes} ne 'post_action';

    return 'mirror' if $c->{goes} eq 'mirror' && $c->{asks} !~ /^large/;
    return 'auth'   if $c->{goes} =~ /^auth/ && $c->{asks} ne 'large';

    # the action is that of the location that the request has ended in

    return 'post'   if $c->{goes} eq 'post_action'
                       && ($try->{replay} || ($try->{route}{by} // 'first')
                                             eq 'first');
    return ();
}

# queued(TRY): as many entries of this event as there should be

sub queued {
    my $try = shift;

    my $taken = $try->{c}{does} eq '200'
                && grep { $_ eq 'first' } @{ $try->{route}{sites} };
    my $want  = $try->{route}{says} ne 'success' || !$taken ? 0
              : $try->{c}{dedup} eq 'dedup' ? 1 : $try->{number};

    return "in the queue $try->{queued} times, not $want"
        if $try->{queued} != $want;
    return;
}


# $jelou_result

sub resulted {
    my $try = shift;

    my ($c, $route, $results) = @$try{qw(c route results)};

    return 'the access log has ' . @$results . ' lines' if @$results != 1;

    my ($result, $status) = @{ $results->[0] }{qw(result status)};
    my @wrong;

    # a post_action has a status of its own, and so has the log of a part of a page

    push @wrong, "the access log has $status, the sender $try->{answer}{status}"
        if $try->{answer}{status} && $try->{answer}{status} ne $status
           && !loose($c) && $c->{goes} ne 'post_action' && !own_page($c);

    my $want = wanted_result($try);

    push @wrong, "\$jelou_result is $result, not $want"
        if $result !~ /^(?:$want)$/;

    return @wrong;
}

sub wanted_result {
    my $try = shift;

    my ($c, $route) = @$try{qw(c route)};

    return '.*' if loose($c);
    return $try->{replay} ? 'duplicate' : 'accepted'
        if $route->{says} eq 'success';
    return 'upstream_failed' if $route->{says} eq 'half';

    # an endpoint where "return" answers is none

    return '-|' if $route->{own} && $route->{says} eq 'page' && !own_page($c);
    return lc $route->{key} if $route->{key};
    return '-||(?!accepted|duplicate)\w+' if $c->{taker} eq 'return'
                                          || $c->{asks} =~ /^(?:large|forged)/;
    return 'upstream_(?:failed|rejected)' if $route->{says} eq 'page';
    return '(?!accepted|duplicate)\w+';
}


# What the error log has of it

sub logged {
    my $try = shift;

    my ($c, $route, $log) = @$try{qw(c route log)};

    my @wrong = map { "error log: $_" }
        grep { /\[(?:alert|emerg)\]|exited on signal/
               && $_ !~ $Nginx } @$log;

    push @wrong, 'a filter of the operator sees the application\'s body'
        if $c->{reply} eq 'contract'
           && grep { /the filter sees the application/ } @$log;

    return @wrong if loose($c);

    my @said = grep { /jelou/ && !/(?:subrequest|mirror)/ } @$log;

    # the queue says once in a while what is wrong with it, and the counters ask the
    # queues of all compositions

    @said = grep { !/to redis failed.*:$Jelou::Port{DOWN}"/ } @said;

    push @wrong, "the log does not say $route->{key}"
        if $route->{says} eq 'error' && $route->{key}
           && $route->{key} =~ /^(?:UPSTREAM|SIGNATURE)/
           && $c->{taker} ne 'queue'
           && !grep { /$route->{key}/ } @said;

    push @wrong, "the log says: $said[0]"
        if $route->{says} eq 'success' && @said
           && @{ $route->{sites} } == 1;

    return @wrong;
}


1;
