# frozen_string_literal: true

# A STAND-IN for the part of Chef's resource DSL that resources/ddinstall.rb uses. It is not Chef: it was written from
# Chef's documentation, since Chef itself cannot be had where these tests run. What it knows: properties with types,
# defaults and `sensitive`, actions, `action_class`, `converge_by` and why-run.
class StandIn
  Property = Struct.new(:types, :default, :sensitive)

  class << self
    attr_reader :properties, :actions, :name_of_resource, :helpers

    def load(file)
      resource = Class.new(self)
      resource.instance_variable_set(:@properties, {})
      resource.instance_variable_set(:@actions, {})
      resource.class_eval(File.read(file), file)
      resource
    end

    def property(name, types, default: nil, sensitive: false, description: nil)
      raise ArgumentError, "#{name}: no description" unless description

      @properties[name] = Property.new(Array(types), default, sensitive)
      define_method(name) { @values.fetch(name, default) }
    end

    def action(name, &block)
      @actions[name] = block
    end

    def action_class(&block)
      @helpers = Module.new { class_eval(&block) }
    end

    def resource_name(name) = @name_of_resource = name
    def default_action(name = nil) = name ? @default_action = name : @default_action
    def unified_mode(_on) = nil
    def provides(_name) = nil
    def description(_text) = nil
  end

  # What an action runs in.
  class Provider
    attr_reader :new_resource, :updated, :said

    def initialize(resource, why_run)
      @new_resource = resource
      @why_run = why_run
      @updated = false
      @said = []
    end

    def whyrun_mode? = @why_run
    def description(_text) = nil

    def converge_by(descriptions)
      @said.concat(Array(descriptions))
      @updated = true
      yield if block_given? && !@why_run
    end
  end

  def initialize(**values)
    values.each do |name, value|
      property = self.class.properties.fetch(name)
      types = property.types.map { |type| type.nil? ? NilClass : type }
      raise ArgumentError, "#{name}: #{value.class}" unless types.any? { |type| value.is_a?(type) }
    end
    @values = values
  end

  # As Chef prints a resource: sensitive properties are suppressed.
  def to_text
    @values.map { |name, value| "#{name} #{self.class.properties[name].sensitive ? '*sensitive*' : value}" }.join("\n")
  end

  def run_action(name = self.class.default_action, why_run: false)
    provider = Provider.new(self, why_run)
    provider.extend(self.class.helpers)
    provider.instance_exec(&self.class.actions.fetch(name))
    provider
  end
end
