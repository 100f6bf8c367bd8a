package Jelou::Application;

# A quick application behind nginx, for the tests that send more than a Perl
# process takes: another nginx, which answers 200 and writes down each body.
#
#     my $app = Jelou::Application->start;       # on port APP
#     my @bodies = $app->arrived;                # stops it

use strict;
use warnings;

use Jelou::Server;

# nginx reads a body only if somebody wants it: here, the mirror.  What has been
# read is still there when the 405 for a POST of nowhere has become a 200.

sub start {
    my ($class, %o) = @_;

    my $file = "$Jelou::Dir/$Jelou::Name.arrived";
    unlink $file;

    my $server = Jelou::Server->start(name => 'application', level => 'crit',
                                      http => <<"END", %o);
log_format  body  escape=none  '\$request_body';

server {
    listen  127.0.0.1:$Jelou::Port{APP};

    client_body_in_single_buffer  on;

    location / {
        access_log  $file body;
        mirror      /mirror;
        error_page  405 =200 /taken;
    }
    location = /taken {
        access_log  $file body;
        return      200;
    }
    location = /mirror {
        internal;
        access_log  off;
        return      204;
    }
}
END

    return bless { server => $server, file => $file }, $class;
}

# All lines are written when nginx has exited.

sub arrived {
    my $self = shift;

    $self->stop;

    return split /\n/, -e $self->{file} ? Jelou::Server::slurp($self->{file}) : '';
}

sub stop {
    my $self = shift;

    return $self->{server}->stop;
}


1;
