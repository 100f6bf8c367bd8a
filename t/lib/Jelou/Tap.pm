package Jelou::Tap;

# Stands between nginx and a server, passes on all that comes, and keeps what
# nginx has sent:
#
#     my $tap = Jelou::Tap->start(PORT, SERVER-PORT);
#
#     my @sent = $tap->sent;          # the bytes, of each connection
#
# It ends with the test.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;

use Jelou::Server;

my %running;


sub start {
    my ($class, $port, $to) = @_;

    my $self = bless { files => "$Jelou::Dir/$Jelou::Name.tap.$port" }, $class;

    unlink glob "$self->{files}.*";

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
                                       Proto => 'tcp', Listen => 16, ReuseAddr => 1)
        // die "port $port: $!\n";

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        $SIG{PIPE} = 'IGNORE';
        $self->pass($listen, $to);
        POSIX::_exit(0);
    }

    $running{$pid} = 1;

    return $self;
}


sub sent {
    my $self = shift;

    return map { Jelou::Server::slurp($_) } sort glob "$self->{files}.*";
}


sub pass {
    my ($self, $listen, $to) = @_;

    my $select = IO::Select->new($listen);
    my (%other, %file, $n);

    while (1) {
        for my $socket ($select->can_read) {

            if ($socket == $listen) {
                my $client = $listen->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                                   PeerPort => $to, Proto => 'tcp');
                next if !$server;

                open my $file, '>:raw', sprintf '%s.%03d', $self->{files}, ++$n
                    or die "$self->{files}: $!\n";
                $file->autoflush(1);

                $file{$client} = $file;
                @other{$client, $server} = ($server, $client);
                $select->add($client, $server);
                next;
            }

            my $other = $other{$socket} or next;

            if (sysread $socket, my $data, 65536) {
                print { $file{$socket} } $data if $file{$socket};

                while ($data ne '') {
                    my $written = syswrite $other, $data or last;
                    substr $data, 0, $written, '';
                }

                next;
            }

            # a later socket may have the address, and so the key, of one of these

            $select->remove($socket, $other);
            delete @other{$socket, $other};
            delete @file{$socket, $other};
            close $_ for $socket, $other;
        }
    }
}


END {
    local $?;

    for my $pid (keys %running) {
        kill KILL => $pid;
        waitpid $pid, 0;
    }
}


1;
