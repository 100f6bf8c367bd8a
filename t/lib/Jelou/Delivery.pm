package Jelou::Delivery;

# An application that events are delivered to.  It writes down what it gets, and
# answers as the test wants.  It runs while the test waits for it, and no longer.
#
#     my $app = Jelou::Delivery->start(port => PORT);
#     $app->behave(sub { my ($request) = @_; return { status => 200 } });
#     my @requests = $app->wait(5);       # so many, since the last call
#     $app->stop;
#
# A request is { line, head, body, at }.  What it is answered with:
# { status, head, body, after }: the status, 'cut' for a 200 whose body ends too
# early, or 'close' for none; more fields; a body; seconds until then.
#
# $app->{most} is how many requests were there at a time, $app->{together} how
# many of a room, "room":N in the body, were there beside another one of it.
#
#     $app->run('what', sub { ... });     # runs it until that is so

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

use Jelou::Server;



sub start {
    my ($class, %o) = @_;

    my $self = bless { behave => sub { { status => 200 } }, %o }, $class;

    $self->{listen} = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Listen => 128,
        ReuseAddr => 1, Proto => 'tcp')
        or die "port $self->{port}: $!\n";

    $self->{seen} = [];
    $self->{most} = $self->{together} = 0;
    $self->{conns} = {};
    $self->{select} = IO::Select->new($self->{listen});
    $self->{later} = [];

    return $self;
}

sub behave { $_[0]{behave} = $_[1]; return }

sub tick {
    my ($self, $seconds) = @_;

    my $next = (sort { $a <=> $b } map { $_->{when} } @{ $self->{later} })[0];
    my $wait = $seconds // 0.02;

    $wait = $next - time if defined $next && $next - time < $wait;
    $wait = 0 if $wait < 0;

    for my $socket ($self->{select}->can_read($wait)) {

        if ($socket == $self->{listen}) {
            my $conn = $socket->accept or next;
            $self->{select}->add($conn);
            $self->{conns}{ fileno $conn } = { socket => $conn, buffer => '' };
            next;
        }

        my $conn = $self->{conns}{ fileno $socket };

        if (!sysread $socket, $conn->{buffer}, 65536, length $conn->{buffer}) {
            $self->close($conn);
            next;
        }

        $self->request($conn);
    }

    my $now = time;
    my @due = grep { $_->{when} <= $now } @{ $self->{later} };

    $self->{later} = [grep { $_->{when} > $now } @{ $self->{later} }];
    $self->answer($_) for @due;

    return;
}

sub close {
    my ($self, $conn) = @_;

    $self->{later} = [grep { $_->{conn} != $conn } @{ $self->{later} }];
    $self->{select}->remove($conn->{socket});
    delete $self->{conns}{ fileno $conn->{socket} };
    CORE::close($conn->{socket});

    return;
}

sub request {
    my ($self, $conn) = @_;

    my ($line, $rest, $length) =
        $conn->{buffer} =~ /\A([^\r]*)\r\n(.*?)\r\n\r\n/s or return;
    my %head = map { /^([^:]+): (.*)$/ ? (lc $1, $2) : () } split /\r\n/, $rest;

    my $begin = index($conn->{buffer}, "\r\n\r\n") + 4;
    my $size  = $head{'content-length'} // 0;

    return if length $conn->{buffer} < $begin + $size;

    my $request = { line => $line, head => \%head, at => time,
                    body => substr($conn->{buffer}, $begin, $size) };

    substr $conn->{buffer}, 0, $begin + $size, '';

    my ($room) = $request->{body} =~ /"room":(\d+)/;

    $self->{together}++
        if defined $room && grep { ($_->{room} // -1) == $room } @{ $self->{later} };

    my $answer = $self->{behave}->($request);

    push @{ $self->{seen} }, $request;
    push @{ $self->{later} },
        { conn => $conn, answer => $answer, room => $room,
          when => time + ($answer->{after} // 0) };

    my $now = @{ $self->{later} };
    $self->{most} = $now if $now > $self->{most};

    return;
}

sub answer {
    my ($self, $later) = @_;

    my ($conn, $answer) = @$later{qw(conn answer)};
    my $status = $answer->{status};

    return $self->close($conn) if $status eq 'close';

    my $body = $answer->{body} // 'taken';
    my $size = length($body) + ($status eq 'cut' ? 10 : 0);

    $status = 200 if $status eq 'cut';

    my $head = $answer->{head} // '';

    syswrite $conn->{socket},
        "HTTP/1.1 $status Whatever\r\nContent-Length: $size\r\n$head\r\n$body";

    $self->close($conn) if $size != length $body;

    return;
}

# wait(COUNT, SECONDS): until so many requests have come, and have been answered

sub wait {
    my ($self, $count, $seconds) = @_;

    my $until = time + ($seconds // 15);

    until (@{ $self->{seen} } >= $count && !@{ $self->{later} }) {
        die "in vain: $count requests, there are " . @{ $self->{seen} } . "\n"
            if time > $until;
        $self->tick;
    }

    return splice @{ $self->{seen} };
}

# run(WHAT, DONE): until that is so

sub run {
    my ($self, $what, $done, $seconds) = @_;

    my $until = time + ($seconds // 15);

    until ($done->()) {
        die "in vain: $what\n" if time > $until;
        $self->tick;
    }

    return 1;
}

sub stop {
    my $self = shift;

    $self->close($_) for values %{ $self->{conns} };
    CORE::close($self->{listen});
    $self->{select} = IO::Select->new;

    return;
}


1;
