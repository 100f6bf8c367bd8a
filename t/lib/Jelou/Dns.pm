package Jelou::Dns;

# A name server of a test's own, for nginx's resolver:
#
#     my $dns = Jelou::Dns->start($port, 'one.test' => ['127.0.0.1'], ...);
#
#     $dns->set('one.test' => ['127.0.0.2']);     # from now on
#     my $n = $dns->asked('one.test');            # how often so far
#
# It answers with A records that are valid for a second; a name that it does not
# have does not exist.  It ends with the test.

use strict;
use warnings;

use IO::Socket::INET;
use Socket qw(inet_aton);

use Jelou::Server;

my %running;


sub start {
    my ($class, $port, %names) = @_;

    my $self = bless { names => {}, file => "$Jelou::Dir/$Jelou::Name.dns" }, $class;

    unlink "$self->{file}.log";
    $self->set(%names);

    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
                                       Proto => 'udp')
        // die "port $port: $!\n";

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        $self->answer($socket);
        POSIX::_exit(0);
    }

    $running{$pid} = 1;

    return $self;
}


sub set {
    my ($self, %names) = @_;

    %{ $self->{names} } = (%{ $self->{names} }, %names);

    Jelou::Server::spew("$self->{file}.new", join '', map {
        "$_ @{ $self->{names}{$_} }\n"
    } sort keys %{ $self->{names} });

    rename "$self->{file}.new", $self->{file} or die "$self->{file}: $!\n";
}


sub asked {
    my ($self, $name) = @_;

    return 0 if !-e "$self->{file}.log";
    return scalar grep { $_ eq $name } split /\n/, Jelou::Server::slurp("$self->{file}.log");
}


sub answer {
    my ($self, $socket) = @_;

    while (defined(my $from = recv $socket, my $query, 512, 0)) {
        my ($id, undef, $count) = unpack 'n3', $query;
        my ($at, @labels) = (12);

        while ((my $n = ord substr $query, $at, 1) > 0) {
            push @labels, substr $query, $at + 1, $n;
            $at += 1 + $n;
        }

        my $name = join '.', @labels;
        my $type = unpack 'n', substr $query, $at + 1, 2;
        my %names = map { my ($n, @a) = split; $n => \@a }
                    split /\n/, Jelou::Server::slurp($self->{file});
        my @answers = $type == 1 ? @{ $names{$name} // [] } : ();

        open my $log, '>>', "$self->{file}.log" or die "$self->{file}.log: $!\n";
        print {$log} "$name\n";
        close $log;

        send $socket, pack('n6', $id, $names{$name} ? 0x8180 : 0x8183, $count,
                           scalar @answers, 0, 0)
                      . substr($query, 12, $at + 5 - 12)
                      . join('', map { pack('n3Nn', 0xc00c, 1, 1, 1, 4) . inet_aton($_) }
                             @answers), 0, $from;
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
