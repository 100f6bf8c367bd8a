package Jelou::FakeRedis;

# A server that speaks Redis' protocol and says what a test wants, in a process
# of its own:
#
#     my $fake = Jelou::FakeRedis->start(PORT, sub {
#         my ($times, @words) = @_;
#         return "+OK\r\n";
#     });
#
#     my @commands = $fake->commands;     # all so far: the words of each
#     $fake->stop;
#
# The function is called for each command but SCRIPT, which is answered with
# a digest; $times is how often it has been called for such a command, whose
# first two words are the same.  It returns the bytes of the reply, '' for none
# from then on, or undef to close the connection.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use JSON::PP ();

use Jelou::Server;

my %running;


sub start {
    my ($class, $port, $reply) = @_;

    my $self = bless { file => "$Jelou::Dir/$Jelou::Name.fake.$port",
                       reply => $reply }, $class;

    Jelou::Server::spew($self->{file}, '');

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
                                       Proto => 'tcp', Listen => 16, ReuseAddr => 1)
        // die "port $port: $!\n";

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        $SIG{PIPE} = 'IGNORE';
        $self->serve($listen);
        POSIX::_exit(0);
    }

    $self->{pid} = $pid;
    $running{$pid} = 1;

    return $self;
}


sub commands {
    my $self = shift;

    return map { JSON::PP::decode_json($_) } split /\n/, Jelou::Server::slurp($self->{file});
}


sub stop {
    my $self = shift;

    my $pid = delete $self->{pid} or return;

    kill KILL => $pid;
    waitpid $pid, 0;
    delete $running{$pid};

    return;
}


sub serve {
    my ($self, $listen) = @_;

    my $select = IO::Select->new($listen);
    my %buffer;

    open my $log, '>>:raw', $self->{file} or die "$self->{file}: $!\n";
    $log->autoflush(1);

    while (1) {
        for my $socket ($select->can_read) {

            if ($socket == $listen) {
                my $client = $listen->accept or next;
                $client->autoflush(1);
                $select->add($client);
                $buffer{$client} = '';
                next;
            }

            if (sysread($socket, $buffer{$socket}, 65536, length $buffer{$socket})
                && $self->replies($socket, \$buffer{$socket}, $log))
            {
                next;
            }

            $select->remove($socket);
            delete $buffer{$socket};
            delete $self->{silent}{$socket};
            close $socket;
        }
    }
}


sub replies {
    my ($self, $socket, $buffer, $log) = @_;

    while (my @words = words($buffer)) {
        my $reply = '$40' . "\r\n" . 'a' x 40 . "\r\n";

        if ($self->{silent}{$socket}) {
            $reply = '';

        } elsif ($words[0] ne 'SCRIPT') {
            print $log JSON::PP::encode_json(\@words) . "\n";

            my $first = join ' ', grep { defined } @words[0, 1];

            $reply = $self->{reply}->(++$self->{times}{$first}, @words) // return 0;
            $self->{silent}{$socket} = $reply eq '';
        }

        print $socket $reply;
    }

    return 1;
}


# words(BUFFER): takes a command from it, if there is a whole one

sub words {
    my $buffer = shift;

    my ($count) = $$buffer =~ /\A\*(\d+)\r\n/g or return;
    my $at = length "*$count\r\n";
    my @words;

    for (1 .. $count) {
        my ($head, $size) = substr($$buffer, $at) =~ /\A(\$(\d+)\r\n)/ or return;

        $at += length $head;
        return if length $$buffer < $at + $size + 2;

        push @words, substr $$buffer, $at, $size;
        $at += $size + 2;
    }

    substr $$buffer, 0, $at, '';

    return @words;
}


END {
    local $?;

    for my $pid (keys %running) {
        kill KILL => $pid;
        waitpid $pid, 0;
    }
}


1;
