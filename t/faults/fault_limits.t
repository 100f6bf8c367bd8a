# What runs out: the worker's files, its connections, the directory and the disk
# for bodies.  As long as it lasts, a sender gets 500 or nothing; nothing is
# accepted that is not delivered, and what is sent again afterwards is delivered.

use strict;
use warnings;

use lib 't/lib';

use Jelou 'no_plan';
use Jelou::Faults;
use Jelou::Load;
use Jelou::Messages;
use Jelou::Server;
use Jelou::Upstream;
use Test::More;
use Time::HiRes qw(sleep time);

my $port     = $Jelou::Port{SERVER};
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

my $nginx = Jelou::Server->new(
    name  => 'front', level => 'error',
    allow => qr/failed \(24: |worker_connections are not enough/,
    http  => <<"END");
jelou_dedup_zone  zone=seen:1m;

upstream app {
    server  127.0.0.1:$Jelou::Port{APP} max_fails=0;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret             "$Jelou::Secret";
    jelou_dedup              zone=seen;
    proxy_http_version       1.0;

    location /memory {
        jelou_endpoint  message;
        proxy_pass      http://app;
    }
    location /file {
        jelou_endpoint           message;
        client_body_buffer_size  64;
        proxy_pass               http://app;
    }
}
END

my $number = 0;
my $large  = sub { $_[0] =~ s/"B"/'"' . 'x' x 100_000 . '"'/er };

sub raw_of { request('message', $_[0], $_[1], change => $large) }

# again(IDS): each is delivered now, if it has not been before

sub again {
    my ($name, %ids) = @_;

    for my $id (sort { $a <=> $b } keys %ids) {
        like(verdict(ask($port, raw_of($id, $ids{$id}))), qr/^200/,
             "$name: $id is sent again");
    }

    my %arrived = map { number($_->{body}) => 1 } $upstream->requests(0);

    is(join(' ', grep { !$arrived{$_} } sort keys %ids), '',
       "$name: all are at the upstream");
}

sub worker_is {
    my ($worker, $name) = @_;

    is_deeply([$nginx->workers], [$worker], "$name: the worker goes on");
}


# Requests that go no further take what there is, one after the other.  (Without
# their first bytes nginx would close them for others.)

for my $case (
    ['files', 'worker_rlimit_nofile 32;', 1024],
    ['connections', '', 20],
) {
    my ($what, $main, $connections) = @$case;

    # valgrind keeps the limit of files to itself, and takes its time

    next if $what eq 'files' && Jelou::Faults->wrapped;
    my $wait = Jelou::Faults->wrapped ? 2 : 0.2;

    $upstream->expect(200);

    $nginx->write(main => $main);

    if ($connections != 1024) {
        my $file = "$nginx->{dir}/nginx.conf";
        my $conf = Jelou::Server::slurp($file);

        $conf =~ s/(worker_connections)  \d+/$1 $connections/ or die;
        Jelou::Server::spew($file, $conf);
    }

    $nginx->start;

    my ($worker) = $nginx->workers;
    my (%ids, %said, @idle, @wrong);

    for (1 .. 40) {
        for my $path ('/memory', '/file') {
            my $id   = ++$number;
            my $said = verdict(ask($port, raw_of($id, $path), $wait));

            $ids{$id} = $path;
            $said{$said}++;

            my @arrived = grep { $_ eq $id }
                          map { number($_->{body}) } $upstream->requests(0);

            push @wrong, "$id: $said" if $said !~ /^(?:200|none|no end|500 \w+)$/
                                         || $said eq '200' && !@arrived;
        }

        push @idle, Jelou::Load::send_to($port, 'POST /');
        last if $said{'no end'};
    }

    diag("$what: ", join ', ', map { "$_: $said{$_}" } sort keys %said)
        if $ENV{TEST_VERBOSE};

    is("@wrong", '', "$what: accepted and delivered, or not accepted");
    cmp_ok($said{200} // 0, '>=', 2, "$what: there were some in the beginning");
    cmp_ok(scalar(grep { !/^200/ } keys %said), '>=', 1, "$what: they run out");

    close $_ for @idle;
    sleep 0.7;                      # nginx accepts nothing for half a second

    again($what, %ids);
    worker_is($worker, $what);
    $nginx->stop;
}


# The directory of the bodies is not there, and then it is there again.

$nginx->write(main => '')->start;

my ($worker) = $nginx->workers;
my $temp     = "$nginx->{dir}/temp";

{
    my %ids = map { ++$number => '/file' } 1 .. 3;

    $upstream->expect(200);

    # one that was open stays so

    rename $temp, "$temp.away" or die "$temp: $!\n";

    for my $id (sort keys %ids) {
        is(verdict(ask($port, raw_of($id, '/file'))), '500 INTERNAL_ERROR',
           'no directory for bodies');
    }

    is(verdict(ask($port, raw_of(++$number, '/memory'))), '200',
       'no directory for bodies: who needs none');
    is(join(' ', map { number($_->{body}) } $upstream->requests(1)), $number,
       'no directory for bodies: nothing else is delivered');

    rename "$temp.away", $temp or die "$temp: $!\n";

    again('a directory again', %ids);
}

# The disk is full: half a body is no body.

SKIP: {
    skip 'no file system can be mounted here', 7
        if system("mount -t tmpfs -o size=256k,mode=0777 tmpfs $temp 2>/dev/null");

    my $full = "$temp/full";
    my %ids  = map { ++$number => '/file' } 1 .. 3;

    $upstream->expect(200);

    # room for a part of a body

    open my $out, '>', $full or die "$full: $!\n";
    syswrite $out, 'x' x 220_000;
    close $out;

    my @said = map { verdict(ask($port, raw_of($_, '/file'))) } sort keys %ids;

    is("@said", join(' ', ('500 INTERNAL_ERROR') x 3), 'the disk is full');
    is(scalar($upstream->requests(0)), 0, 'the disk is full: nothing is delivered');

    unlink $full;

    my @left = grep { -f } glob "$temp/* $temp/*/*";
    is("@left", '', 'the disk is full: no file is left');

    again('the disk has room again', %ids);

    system('umount', $temp);
}

END {
    local $?;

    system("umount $temp 2>/dev/null")
        if defined $temp && Jelou::Server::slurp('/proc/mounts') =~ /\Q $temp /;
}

worker_is($worker, 'in the end');

$nginx->stop;
$upstream->stop;
