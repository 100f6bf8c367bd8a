# What the pages of the book tell their reader to type is typed here: commands of
# getting-started.md and troubleshooting.md give what the pages say, logs and all;
# and the tests that security.md and the other pages name are there.

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Basename qw(basename);
use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root slurp spew configurations);

my $nginx = Jelou::Config->new('book');
my $dir   = $nginx->dir;

chdir $Root or die "$Root: $!\n";

my %doc  = map { basename($_) => slurp($_) } glob 'docs/*.md';
my %conf = configurations();


# sections(PAGE): [heading, blocks]; a block is { language, text, answer }, and its
# answer the text or JSON that stands right behind it

sub sections {
    my $text = shift;

    my (@sections, $block, $last);

    for (split /^/, $text) {
        if ($block) {
            $block = undef, next if /^```$/;
            $block->{text} .= $_;

        } elsif (/^```(\w*)$/) {
            $block = { language => $1, text => '' };
            $last->{answer} = $block if $last && $1 =~ /^(?:text|json)$/;
            push @{ $sections[-1][1] }, $last = $block if @sections;

        } elsif (/^## (.+)/) {
            push @sections, [$1, []];
            $last = undef;

        } elsif (/\S/) {
            $last = undef;
        }
    }

    return @sections;
}

# run(SHELL): its output, of both kinds

sub run {
    my $file = spew("$dir/commands.sh", shift);
    my $cwd  = getcwd;

    chdir $dir or die "$dir: $!\n";
    my $said = `sh $file 2>&1`;
    chdir $cwd or die "$cwd: $!\n";

    return $said;
}

# follow(PAGE, EDIT): runs the commands of the page, in one shell, and compares what
# each block prints with the answer behind it.  EDIT makes of a block what is run,
# or undef.

sub follow {
    my ($page, $edit) = @_;

    my ($script, @blocks, @unchecked) = ('');

    for (sections($doc{$page})) {
        my ($name, $blocks) = @$_;

        for my $block (grep { $_->{language} eq 'sh' } @$blocks) {
            my $text = $edit->($block->{text}) // next;

            # functions print nothing, but what calls them does

            push @unchecked, $text
                if !$block->{answer}
                   && $text =~ /^(?:curl|openssl|send|try|sign)\b(?!\()/m;

            $script .= "$text\nprintf '\\n=== end\\n'\n";
            push @blocks, [$name, $block->{answer}];
        }
    }

    is("@unchecked", '', "$page: what each request gives is said");

    my @got = split /^=== end\n/m, run($script);

    is(scalar @got, scalar @blocks, "$page: all commands are run");

    for my $i (0 .. $#blocks) {
        my ($name, $answer) = @{ $blocks[$i] };
        my $want = $answer ? $answer->{text} : '';

        s/\s+\z// for $want, $got[$i] //= 'nothing';

        is($got[$i], $want, "$page, $name: what the commands print");
    }
}

# in_log(LOG, LINE): a line of a document, with "…" for whatever there is

sub in_log {
    my ($log, $line) = @_;

    my $pattern = join '.*', map { quotemeta } split /\s*…\s*/, $line;

    return $log =~ /$pattern/;
}


subtest 'troubleshooting.md' => sub {
    my $conf = $conf{'docs/examples/refusals.conf'};

    my ($client) = $doc{'troubleshooting.md'} =~ /openssl passwd -apr1 (\w+)/;
    my @secrets  = $doc{'troubleshooting.md'}
                   =~ /^ +echo '(.*)' >+build\/run\/jelou\.secrets$/mg;

    is(scalar @secrets, 2, 'the secrets are found');

    $nginx->supply('htpasswd', 'client:' . `openssl passwd -apr1 $client`);
    chmod 0600, $nginx->supply('jelou.secrets', join '', map { "$_\n" } @secrets)
        or die "chmod: $!\n";
    $nginx->replace('127.0.0.1:8081', $nginx->free_port);
    $nginx->start($conf);

    my $port = $nginx->port('127.0.0.1:8080');

    follow('troubleshooting.md', sub {
        my $text = shift;

        # nginx has been started already

        return undef if $text =~ /^nginx /m;

        return $text =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/gr
                     =~ s{build/run/}{}gr;
    });

    $nginx->stop;

    my $log      = slurp($nginx->log);
    my @sections = sections($doc{'troubleshooting.md'});
    my %text     = map {
        $_->[0] => [map { split /\n/, $_->{text} }
                    grep { $_->{language} eq 'text' } @{ $_->[1] }];
    } @sections;

    for my $name (sort keys %text) {
        ok(in_log($log, $_), "$name: the log has $_")
            for grep { /^\[\w+\] / } @{ $text{$name} };
    }

    # A key that the module refuses with has a section, and no other has.

    my @keys = $doc{'errors.md'} =~ /^\| [^|]+ \| `([A-Z_]+)` \| [\d.]/mg;
    is_deeply([sort grep { /^[A-Z_]+$/ } keys %text],
              [sort 'UNAUTHORIZED', @keys], 'each error key has a section');

    # The configuration that is shown is the one that is tried.

    my ($block) = map { $_->{text} } grep { $_->{language} eq 'nginx' }
                  map { @{ $_->[1] } } @sections;

    for my $part (map { s/^    //mgr } $block =~ /^(    location .*?^    \})/msg) {
        like($conf =~ s/^        //mgr, qr/^\Q$part\E$/m,
             'a location is that of the example');
    }
};


done_testing();
