# frozen_string_literal: true

require 'json'
require 'open3'

module DdinstallCookbook
  # ddinstall failed; its message says what, in which state the node is, and what to do.
  class Failed < RuntimeError; end

  # Runs ddinstall with everything that is asked on its standard input: no argument and no file holds a key.
  class Runner
    CHANGES_PENDING = 20
    VERIFICATION_FAILED = 9

    def initialize(path, settings)
      @path = path
      @settings = settings.compact
    end

    def there?
      File.executable?(@path)
    end

    # What would change, a line or several lines each; empty where the node is as asked.
    def pending
      document, code = run('plan', '--diff', '--detailed-exitcode')
      return [] if code.zero?
      raise Failed, words(document, code) unless code == CHANGES_PENDING

      document.fetch('steps').map { |step| [step['what'], *(step['diff'] || step['details'])].join("\n") }
    end

    # Changes the node, and proves it.
    def install
      document, code = run('install')
      raise Failed, words(document, code) unless code.zero?

      document
    end

    # The checks that do not hold, a line each.
    def failures
      document, code = run('verify')
      # Without an Agent there is nothing to check: that alone is said.
      raise Failed, words(document, code) if document['error'] || ![0, VERIFICATION_FAILED].include?(code)

      bad = document.dig('verify', 'checks').reject { |check| %w[pass skipped warn].include?(check['status']) }
      bad.map { |check| "#{check['id']}: #{check['seen']} (#{check['hint']})" }
    end

    private

    def run(*arguments)
      # What this process has in its environment is not what was asked.
      ours = ENV.keys.grep(/\A(DD_|TESTING_|REPO_URL\z)/).to_h { |name| [name, nil] }
      command = [@path, *arguments, '--format', 'json', '--file', '-']
      out, err, status = Open3.capture3(ours, *command, stdin_data: JSON.generate(@settings))
      [JSON.parse(out), status.exitstatus]
    rescue JSON::ParserError
      raise Failed, "#{@path} said nothing that can be read (#{status}): #{err[-2000..] || err}"
    rescue SystemCallError => e
      raise Failed, "#{@path} cannot be run: #{e.message}"
    end

    def words(document, code)
      error = document['error'] || { 'what' => "ddinstall ended with #{code}" }
      lines = [error['what'], *error['detail']]
      lines << "state: #{error['state']}" if error['state']
      lines << "to do: #{error['hint']}" if error['hint']
      lines.join("\n")
    end
  end
end
