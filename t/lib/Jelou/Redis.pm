package Jelou::Redis;

# A redis-server of a test's own.  Used together with Jelou.pm, which has the
# directory and the ports:
#
#     my $redis = Jelou::Redis->start(
#         port   => $Jelou::Port{PORT_1},
#         name   => 'queue',                  # of its directory, or
#         dir    => '...',                    # that, without Jelou.pm
#         config => ['maxmemory 2mb', ...],   # more lines of redis.conf
#         args   => ['--sentinel'],
#     );
#
#     my $reply = $redis->command(qw(XLEN stream));   # dies of an error
#     my $error = $redis->error(qw(GET stream));      # the error, or ''
#     my @entries = $redis->entries('stream');        # { id, event, ... } each
#
#     $redis->crash;                          # SIGKILL
#     $redis->start;                          # once more, with the same data
#     $redis->stop;
#
# What is still running when the test ends is killed.  JELOU_REDIS_SERVER is the
# program, if it is another one: valkey-server, for instance.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

use Jelou::Server;

my $program = $ENV{JELOU_REDIS_SERVER} || 'redis-server';
my %running;


sub start {
    my ($class, %o) = @_;

    my $self = ref $class ? $class : bless { name => 'redis', config => [], %o },
                                           $class;

    my $dir = $self->{dir} //= "$Jelou::Dir/$Jelou::Name.$self->{name}";

    if (!ref $class) {
        remove_tree($dir);
        make_path($dir);
    }

    Jelou::Server::spew("$dir/redis.conf", join '', map { "$_\n" }
        'bind 127.0.0.1', "port $self->{port}", "dir $dir", 'save ""',
        'daemonize no', "logfile $dir/log", @{ $self->{config} });

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        exec $program, "$dir/redis.conf", @{ $self->{args} // [] } or POSIX::_exit(127);
    }

    $self->{pid} = $pid;
    $running{$pid} = 1;

    my $until = time + 15;

    until (eval { $self->error('PING') =~ /^(?:NOAUTH.*|)$/ }) {
        die "$program does not start: "
            . (-e "$dir/log" ? Jelou::Server::slurp("$dir/log") : '') . "\n"
            if time > $until || Jelou::Server::reap($pid, 0);
        sleep 0.02;
    }

    return $self;
}


sub end {
    my ($self, $signal) = @_;

    my $pid = delete $self->{pid} or return;

    delete @$self{qw(socket buffer)};

    kill $signal => $pid;
    Jelou::Server::reap($pid, 10) or kill KILL => $pid;
    delete $running{$pid};

    return;
}

sub stop { return $_[0]->end('TERM') }
sub crash { return $_[0]->end('KILL') }


sub write {
    my ($self, @words) = @_;

    $self->{socket} //= IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp')
        or die "redis: port $self->{port}: $!\n";

    $self->{buffer} //= '';

    print { $self->{socket} } '*' . @words . "\r\n",
        map { '$' . length . "\r\n$_\r\n" } @words;
    $self->{socket}->flush;
}

sub line {
    my $self = shift;

    while (1) {
        return $1 if $self->{buffer} =~ s/\A(.*?)\r\n//s;

        sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer}
            or die "redis: the connection ended\n";
    }
}

sub read {
    my $self = shift;

    my ($type, $rest) = $self->line =~ /\A(.)(.*)\z/s;

    return $rest if $type =~ /[+:]/;
    return bless \$rest, 'Jelou::Redis::Error' if $type eq '-';
    return undef if $rest < 0;
    return [map { $self->read } 1 .. $rest] if $type eq '*';

    while (length $self->{buffer} < $rest + 2) {
        sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer}
            or die "redis: the connection ended\n";
    }

    my $text = substr $self->{buffer}, 0, $rest;
    substr $self->{buffer}, 0, $rest + 2, '';

    return $text;
}

sub any {
    my ($self, @words) = @_;

    my $reply = eval { $self->write(@words); $self->read };

    if (my $error = $@) {
        delete @$self{qw(socket buffer)};
        die $error;
    }

    return $reply;
}

sub error {
    my ($self, @words) = @_;

    my $reply = $self->any(@words);

    return ref $reply eq 'Jelou::Redis::Error' ? $$reply : '';
}

sub command {
    my ($self, @words) = @_;

    my $reply = $self->any(@words);

    die "redis: @words[0 .. ($#words > 2 ? 2 : $#words)]: $$reply\n"
        if ref $reply eq 'Jelou::Redis::Error';

    return $reply;
}


# entries(STREAM): all of them, in order

sub entries {
    my ($self, $stream) = @_;

    return map { { id => $_->[0], @{ $_->[1] } } }
           @{ $self->command('XRANGE', $stream, '-', '+') };
}


END {
    local $?;

    for my $pid (keys %running) {
        kill KILL => $pid;
        waitpid $pid, 0;
    }
}


1;
