package Jelou::Server;

# An nginx of a test's own, for tests that reload it, kill its workers or send
# it many requests at once, which a block cannot.  Used together with Jelou.pm,
# which has the directory and the ports:
#
#     my $nginx = Jelou::Server->start(
#         name    => 'front',             # of its directory
#         main    => 'worker_processes 2;',
#         http    => "server { ... }",
#         env     => { NAME => 'value' },
#         level   => 'info',              # of the error log
#         allow   => qr/.../,             # alerts that the test provokes
#         meanwhile => sub { ... },       # again and again, while it is waited for
#     );
#
#     $nginx->write(http => ...);         # for the next reload
#     $nginx->reload;                     # returns when the old workers are gone
#     $nginx->upgrade;                    # likewise, with another binary, if it
#                                         # was started with  orphan => 1
#     $nginx->stop;
#
# Without a jelou_access of its own, http has "none".
#
#     my $check = Jelou::Server->new(...);        # is not started
#     $check->says($http, "[emerg] ... in WHERE\n", $name);
#
# stop() fails a test if the error log has an alert, an emerg or a sanitizer's
# report that was not allowed for, or if nginx does not exit when it is asked to.
# What is still running when the test ends is stopped.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use POSIX qw(:sys_wait_h);
use Test::More ();
use Time::HiRes qw(sleep time);

use Jelou::Reports;

my %running;

# Jelou.pm has this for the other signals: what is running is stopped, also if
# nobody reads what the test says.

$SIG{PIPE} = sub { exit 1 };


# new(...): writes the configuration, starts nothing

sub new {
    my ($class, %o) = @_;

    my $name = $o{name} // 'nginx';
    my $dir  = "$Jelou::Dir/$Jelou::Name.$name";

    remove_tree($dir);
    make_path($dir);
    chmod 0755, $dir;

    my $self = bless { dir => $dir, env => {}, allow => qr/(?!)/,
                       main => '', http => '', level => 'info', %o }, $class;

    $self->write;

    return $self;
}


sub write {
    my ($self, %o) = @_;

    @$self{keys %o} = values %o;

    my $dir  = $self->{dir};
    my $load = $ENV{TEST_NGINX_LOAD_MODULES};
    my $temp = join "\n", map { "    ${_}_temp_path $dir/temp;" }
               qw(client_body proxy fastcgi uwsgi scgi);

    $load = $load eq '' ? '' : "load_module  $load;";

    # what the endpoints that need not be signed have to say

    my $access = $self->{http} =~ /\bjelou_access\b/ ? ''
               : 'jelou_access             none;';

    spew("$dir/nginx.conf", <<"END");
$load
pid          $dir/nginx.pid;
error_log    $dir/error.log $self->{level};
$self->{main}
events {
    worker_connections  1024;
}

http {
$temp

    access_log               off;
    client_body_buffer_size  1m;
    keepalive_requests       1000000;
    $access
$self->{http}
}
END

    return $self;
}


# says(HTTP, WANT, NAME): tests what "nginx -t" says of this content of http,
# "[level] text" lines, and that it refuses what it has an emerg for.  WHERE in
# them is the place of the comment "# WHERE"; OTHER likewise.

sub says {
    my ($self, $http, $want, $name) = @_;

    $self->write(http => $http);

    my $file = "$self->{dir}/nginx.conf";
    my $line = 0;

    for (split /\n/, slurp($file)) {
        $line++;
        my ($mark) = /# (WHERE|OTHER)$/ or next;
        $want =~ s/\b$mark\b/$file:$line/g;
    }

    my $test = Jelou::Reports::without_leaks(
        "$ENV{TEST_NGINX_BINARY} -t -q -e stderr -c $file 2>&1");
    my $said = `$test`;
    my $code = $? >> 8;

    $said =~ s/^nginx: configuration file .*\n//mg;
    $said =~ s/^(?:nginx: |[\d\/]+ [\d:]+ )(\[\w+\]) (?:\d+#\d+: )?/$1 /mg;

    Test::More::is($said, $want, "nginx -t: $name");
    Test::More::is($code, $want =~ /^\[emerg\]/m ? 1 : 0,
                   "nginx -t: $name: exit status");

    return $said;
}


sub start {
    my ($class, @o) = @_;

    my $self = ref $class ? $class : $class->new(@o);

    my $pid = fork // die "fork: $!\n";

    # whose parent is the one that it began with, has no other binary

    if ($pid == 0 && $self->{orphan}) {
        my $child = fork // POSIX::_exit(127);

        if ($child) {
            sleep 0.01 until -s "$self->{dir}/nginx.pid" || waitpid($child, WNOHANG);
            POSIX::_exit(0);
        }
    }

    if ($pid == 0) {
        @ENV{keys %{ $self->{env} }} = values %{ $self->{env} };
        open STDERR, '>>', "$self->{dir}/stderr";

        # what outlives a test that has died must not keep its output open

        open STDOUT, '>&', \*STDERR;
        exec $ENV{TEST_NGINX_BINARY}, '-e', "$self->{dir}/error.log",
             '-c', "$self->{dir}/nginx.conf", '-g', 'daemon off;'
            or POSIX::_exit(127);
    }

    if ($self->{orphan}) {
        waitpid $pid, 0;
        die 'nginx does not start: ' . $self->log if !-s "$self->{dir}/nginx.pid";
        ($pid) = slurp("$self->{dir}/nginx.pid") =~ /(\d+)/;
    }

    $self->{pid} = $pid;
    $running{$pid} = $self;

    my $want = $self->{main} =~ /worker_processes\s+(\d+)/ ? $1 : 1;

    $self->wait_for("$self->{name}: nginx starts", sub {
        waitpid($pid, WNOHANG) > 0 && die "nginx does not start: " . $self->log
                                      . slurp("$self->{dir}/stderr");
        $self->workers >= $want;
    });

    return $self;
}


# workers(): the process ids of those that take new connections
# workers(1): of those as well that only end what they have begun

sub workers {
    my ($self, $all) = @_;

    my @pids;

    for my $file (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $file or next;
        my $stat = <$in> // next;
        my ($pid, $ppid) = $stat =~ /^(\d+) \(.*\) (?!Z)\S (\d+) /s or next;

        next if $ppid != $self->{pid};

        open $in, '<', "/proc/$pid/cmdline" or next;
        my $title = <$in> // next;

        # of what valgrind runs, the title is valgrind's

        if ($ENV{JELOU_VALGRIND}) {
            $title = 'worker process';
            $title .= ' is shutting down'
                if $self->log =~ /\Q $pid#$pid: gracefully shutting down/;
        }

        push @pids, $pid if $title =~ /worker process/
                            && ($all || $title !~ /shutting down/);
    }

    return @pids;
}


# reload(): asks for it, and returns when the workers are new ones and the old
# ones have gone; reload(0) does not wait

sub reload {
    my ($self, $wait) = @_;

    my @old = $self->workers(1);

    kill HUP => $self->{pid};

    $self->wait_for("$self->{name}: nginx reloads", sub { $self->reloaded(@old) })
        if $wait // 1;

    return @old;
}

# reloaded(OLD, ...): if none of these workers is left, and there are others

sub reloaded {
    my ($self, @old) = @_;

    my %now = map { $_ => 1 } $self->workers(1);

    return !(grep { $now{$_} } @old) && keys %now;
}


# upgrade(): the binary is replaced by itself, and returns when the old master and
# its workers have gone; the new one is nobody's child then

sub upgrade {
    my $self = shift;

    my $old = $self->{pid};
    my $now;

    kill USR2 => $old;

    $self->wait_for("$self->{name}: the new master starts", sub {
        # the old master renames its file at any moment

        ($now) = (eval { slurp("$self->{dir}/nginx.pid") } // '') =~ /^(\d+)$/m;
        return $now && $now != $old && -s "$self->{dir}/nginx.pid.oldbin";
    });

    $self->{pid} = $now;
    $running{$now} = $self;
    $self->wait_for("$self->{name}: its workers start", sub { $self->workers });

    kill QUIT => $old;
    $self->wait_for("$self->{name}: the old master ends", sub { reap($old, 0) });
    delete $running{$old};

    return;
}


sub log {
    my $self = shift;

    return -e "$self->{dir}/error.log" ? slurp("$self->{dir}/error.log") : '';
}

# jelou_log(): what the module has logged, "[level] text"

sub jelou_log {
    my $self = shift;

    my $end = qr/(?: while [^,]+)?(?:, upstream: "redis:[^"]*")?(?:, client.*)?$/;

    return map { /(\[\w+\]) \S+ (?:\*\d+ )?(jelou.*?)$end/ ? "$1 $2" : () }
           split /\n/, $self->log;
}

sub wait_for_log {
    my ($self, $pattern) = @_;

    return $self->wait_for("the log has $pattern",
                           sub { $self->log =~ $pattern });
}


sub wait_for {
    my ($self, $what, $done, $seconds) = @_;

    my $until = time + ($seconds // ($ENV{JELOU_VALGRIND} ? 60 : 15));

    until ($done->()) {
        die "in vain: $what\n" . substr($self->log, -2000) . "\n"
            if time > $until;
        $self->{meanwhile} ? $self->{meanwhile}->() : sleep 0.01;
    }

    return 1;
}


sub stop {
    my $self = shift;

    my $pid = delete $self->{pid} or return;

    delete $running{$pid};

    kill QUIT => $pid;

    my $ended = reap($pid, 10);

    if (!$ended) {
        kill TERM => $pid;
        reap($pid, 3) or kill KILL => $pid;
        waitpid $pid, 0 if kill 0 => $pid;
    }

    Test::More::ok($ended, "$self->{name}: nginx exits");

    my $said = $self->log . slurp("$self->{dir}/stderr");
    my @bad  = (Jelou::Reports::alerts($said, $self->{allow}),
                grep { /Sanitizer|runtime error:/ && $_ !~ $self->{allow} }
                     split /\n/, $said);

    Test::More::is("@bad", '', "$self->{name}: error log");

    Jelou::Reports::check($self->{name}, "$Jelou::Dir/$Jelou::Name.error.log");

    # what an allowed alert is, a later look at all the logs must not take for
    # one

    open my $out, '>>', "$Jelou::Dir/$Jelou::Name.error.log"
        or die "$Jelou::Dir: $!\n";
    my %bad = map { $_ => 1 } @bad;

    print $out "\n=== $self->{name}\n",
        map { /\[(?:alert|emerg)\]/ && !$bad{$_} ? "asked for: $_\n" : "$_\n" }
            split /\n/, $self->log;

    return;
}

END {
    local $?;

    for my $pid (keys %running) {
        kill QUIT => $pid;
        reap($pid, 2) || kill TERM => $pid;
        reap($pid, 3) || kill KILL => $pid;
    }
}


sub reap {
    my ($pid, $seconds) = @_;

    my $until = time + $seconds;

    while (1) {
        my $ended = waitpid($pid, WNOHANG);

        return 1 if $ended > 0 || ($ended < 0 && !alive($pid));
        return 0 if time > $until;
        sleep 0.01;
    }
}


# alive(PID): if there is such a process, also if it is nobody's child any more

sub alive {
    my $pid = shift;

    return 0 if !-e "/proc/$pid/stat";

    return slurp("/proc/$pid/stat") !~ /^\d+ \(.*\) [ZX] /s;
}


sub slurp {
    my $file = shift;

    open my $in, '<:raw', $file or die "$file: $!\n";
    local $/;
    return scalar(<$in>) // '';
}

# A file is another one after this, not the same one half written.

sub spew {
    my ($file, $text, $mode) = @_;

    open my $out, '>:raw', "$file.new" or die "$file: $!\n";
    print $out $text;
    close $out or die "$file: $!\n";
    chmod $mode // 0600, "$file.new";
    rename "$file.new", $file or die "$file: $!\n";

    return $file;
}


1;
