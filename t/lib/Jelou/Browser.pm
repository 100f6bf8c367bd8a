package Jelou::Browser;

# A headless Chromium, driven through browser.js by Playwright:
#
#     my $browser = Jelou::Browser->start;
#     $browser->open(url => URL, width => 360, height => 800, scheme => 'dark');
#     $browser->wait('document.title === "x"');   # dies after a while
#     my $value = $browser->get('document.title');
#     $browser->press('Tab');
#     $browser->click('#pause');
#     $browser->focus('#traffic');
#     $browser->picture($file);                   # of the whole page
#     my @complaints = $browser->complaints;      # errors on the console, and
#                                                 # requests to other servers
#     $browser->stop;
#
# An expression is JavaScript's; its value comes back as data.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IPC::Open2 qw(open2);
use JSON::PP ();

my $json = JSON::PP->new->utf8->allow_nonref;
my %running;


sub start {
    my $class = shift;

    my $home = tempdir(CLEANUP => 1);
    my $pid;

    # where a browser keeps what it remembers

    {
        local @ENV{qw(HOME XDG_CONFIG_HOME XDG_CACHE_HOME TMPDIR)} = ($home) x 4;
        delete local @ENV{qw(http_proxy https_proxy all_proxy ALL_PROXY
                             HTTP_PROXY HTTPS_PROXY)};

        $pid = open2(my $out, my $in, 'node', dirname(__FILE__) . '/../browser.js');
        $running{$pid} = bless { pid => $pid, in => $in, out => $out }, $class;
    }

    return $running{$pid};
}


# command(NAME, MEMBER => VALUE, ...): its value

sub command {
    my ($self, $name, %o) = @_;

    local $SIG{PIPE} = 'IGNORE';

    $self->{in}->autoflush(1);
    print { $self->{in} } $json->encode({ do => $name, %o }), "\n";

    my $vec = '';
    vec($vec, fileno $self->{out}, 1) = 1;

    die "the browser does not answer: $name\n" if !select $vec, undef, undef, 45;

    my $line = readline($self->{out}) // die "the browser is gone: $name\n";
    my $answer = $json->decode($line);

    die "the browser: $name: $answer->{error}\n" if defined $answer->{error};

    return $answer->{value};
}

sub open       { my ($self, %o) = @_; return $self->command('open', %o) }
sub get        { return $_[0]->command(get => of => $_[1]) }
sub wait       { return $_[0]->command(wait => for => $_[1]) }
sub press      { return $_[0]->command(press => key => $_[1]) }
sub click      { return $_[0]->command(click => on => $_[1]) }
sub focus      { return $_[0]->command(focus => on => $_[1]) }
sub complaints { return @{ $_[0]->command('complaints') } }

# picture(FILE [, VISIBLE]): of what is visible only, if that is true

sub picture {
    my ($self, $file, $visible) = @_;

    return $self->command('picture', file => $file,
                          whole => $visible ? JSON::PP::false : JSON::PP::true);
}


# The browser ends with its driver, which ends with its input.

sub stop {
    my $self = shift;

    delete $running{$self->{pid}} or return;

    close $self->{in};

    local $SIG{ALRM} = sub { kill KILL => $self->{pid} };
    alarm 10;
    waitpid $self->{pid}, 0;
    alarm 0;

    return;
}

END {
    local $?;

    $_->stop for values %running;
}


1;
